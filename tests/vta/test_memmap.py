"""The register map: offsets that drivers rely on, and its own consistency."""

import pytest

from tests.support.configurations import CONFIGURATIONS
from vta.memmap import (
    ADDR_BITS,
    COUNTERS,
    IDENTITY,
    REGISTERS,
    ErrorCode,
    ModuleState,
    Source,
    config_fields,
    config_words,
    register,
)
from vta.run_result import Counters

OFFSETS = {
    "ID": 0x000, "VERSION": 0x004, "CONFIG0": 0x008, "CONFIG1": 0x00C, "CONTROL": 0x014,
    "STATUS": 0x018, "ERROR": 0x01C, "ERROR_ADDR": 0x020, "INSN_COUNT": 0x028, "INSN_ADDR": 0x02C,
    "MODULES": 0x034, "CYCLES": 0x040, "INP_LOAD_NBYTES": 0x048, "WGT_LOAD_NBYTES": 0x050,
    "ACC_LOAD_NBYTES": 0x058, "UOP_LOAD_NBYTES": 0x060, "OUT_STORE_NBYTES": 0x068,
    "GEMM_COUNTER": 0x070, "ALU_COUNTER": 0x078, "TOKENS_L2G": 0x090, "TOKENS_S2G": 0x09C,
    "INSNS_LOAD": 0x0A0, "INSNS_STORE": 0x0A8,
}  # fmt: skip


@pytest.mark.parametrize("name", OFFSETS)
def test_offsets(name):
    assert register(name).offset == OFFSETS[name]


def test_registers_are_apart():
    offsets = [item.offset for item in REGISTERS]
    assert len(set(offsets)) == len(offsets) == len({item.name for item in REGISTERS})
    assert all(offset % 4 == 0 and offset < 1 << ADDR_BITS for offset in offsets)
    assert {item.access for item in REGISTERS} <= {"ro", "rw", "wo"}


def test_high_halves_follow():
    for item in REGISTERS:
        if item.name.endswith("_HI"):
            low = register(item.name.removesuffix("_HI"))
            assert (low.offset + 4, low.access) == (item.offset, item.access)


def test_unknown_register():
    with pytest.raises(KeyError, match="NOTHING"):
        register("NOTHING")


def test_identity_and_counters():
    assert IDENTITY.to_bytes(4, "big") == b"VTA1"
    assert tuple(Counters().as_dict()) == COUNTERS
    assert ErrorCode.NONE == 0 and ModuleState.IDLE == 0
    assert max(Source) < 256 and max(ErrorCode) < 256


def test_config_words():
    # widths 2^3, 2^3, 2^5, batch 2^0, block 2^4, bus 2^6, 32 address bits; buffers 2^15, 15, 18, 17
    assert config_words(CONFIGURATIONS["default"]) == (0x20_640533, 0x11120F0F)
    assert config_words(CONFIGURATIONS["tiny"]) == (0x20_620533, 0x0A0A0808)
    assert config_fields(0x20_640533, 0x11120F0F) == {
        "LOG_INP_WIDTH": 3,
        "LOG_WGT_WIDTH": 3,
        "LOG_ACC_WIDTH": 5,
        "LOG_BATCH": 0,
        "LOG_BLOCK": 4,
        "LOG_BUS_WIDTH": 6,
        "ADDR_BITS": 32,
        "LOG_UOP_BUFF_SIZE": 15,
        "LOG_INP_BUFF_SIZE": 15,
        "LOG_WGT_BUFF_SIZE": 18,
        "LOG_ACC_BUFF_SIZE": 17,
    }
