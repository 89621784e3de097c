"""Configurations: derived sizes by hand, what is refused and how it is told."""

import json
import re

import pytest
from hypothesis import given, settings

from tests.support.configurations import configurations
from vta.config import KEYS, MICROARCHITECTURE, PRESETS, VTAConfig
from vta.errors import ConfigError
from vta.isa import Isa

DEFAULT = VTAConfig.preset("default")

# The sizes that the original publishes for its default configuration.
DEFAULT_SIZES = {
    "inp_width": 8, "wgt_width": 8, "acc_width": 32, "out_width": 8, "batch": 1, "block_in": 16,
    "block_out": 16, "inp_elem_bits": 128, "wgt_elem_bits": 2048, "acc_elem_bits": 512,
    "out_elem_bits": 128, "inp_elem_bytes": 16, "wgt_elem_bytes": 256, "acc_elem_bytes": 64,
    "out_elem_bytes": 16, "uop_elem_bytes": 4, "acc8_elem_bytes": 16, "log_uop_depth": 13,
    "log_inp_depth": 11, "log_wgt_depth": 10, "log_acc_depth": 11, "log_out_buff_size": 15,
    "uop_depth": 8192, "inp_depth": 2048, "wgt_depth": 1024, "acc_depth": 2048, "out_depth": 2048,
    "inp_dtype": "int8", "acc_dtype": "int32", "bus_bytes": 8,
    "fingerprint": "1x16_i8w8a32_15_15_18_17",
}  # fmt: skip


def test_default_sizes():
    assert {name: getattr(DEFAULT, name) for name in DEFAULT_SIZES} == DEFAULT_SIZES
    assert VTAConfig() == DEFAULT
    assert DEFAULT_SIZES.items() <= DEFAULT.derived().items()


def test_other_widths():
    cfg = DEFAULT.replace(log_inp_width=2, log_wgt_width=4, log_batch=1)
    assert (cfg.inp_elem_bytes, cfg.out_elem_bytes, cfg.acc8_elem_bytes) == (16, 16, 32)
    assert (cfg.wgt_elem_bytes, cfg.acc_elem_bytes) == (512, 128)
    assert (cfg.inp_dtype, cfg.wgt_dtype, cfg.out_dtype) == ("int4", "int16", "int4")


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name):
    cfg = VTAConfig.preset(name)
    assert VTAConfig.from_dict(cfg.to_dict()) == cfg
    assert hash(VTAConfig.preset(name)) == hash(cfg)


def test_no_such_preset():
    with pytest.raises(
        ConfigError, match="no preset 'huge'; there are default, tiny, tiny_small, ulx3s_85f"
    ):
        VTAConfig.preset("huge")


@pytest.mark.parametrize("key", MICROARCHITECTURE)
def test_programs_do_not_depend_on_the_microarchitecture(key):
    cfg = VTAConfig()
    low, high, default, _ = KEYS[key]
    other = cfg.replace(**{key.lower(): high if default == low else low})
    assert other != cfg
    assert other.fingerprint == cfg.fingerprint
    assert cfg.differences(other) == ""


def test_the_alu_has_at_least_one_lane():
    tiny = VTAConfig.preset("tiny")
    assert [tiny.replace(log_alu_beats=n).alu_lanes for n in range(3)] == [4, 2, 1]
    message = (
        "LOG_BATCH is 0, LOG_BLOCK 1, LOG_ALU_BEATS 2: the ALU would execute the 2 lanes of a tile "
        "in 4 cycles; must be at most one cycle a lane (LOG_ALU_BEATS 0 to 1)"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        VTAConfig(log_block=1, log_alu_beats=2)


def test_the_smallest_form_of_tiny_runs_the_same_programs():
    tiny, small = VTAConfig.preset("tiny"), VTAConfig.preset("tiny_small")
    assert small.fingerprint == tiny.fingerprint
    assert small.issue_depth == 1


@given(configurations())
@settings(max_examples=300)
def test_valid_configurations_have_an_instruction_set(cfg):
    """What the configuration lets through, the encoding can hold (its formats assert that)."""
    Isa(cfg)
    assert VTAConfig.from_dict(json.loads(json.dumps(cfg.to_dict()))) == cfg


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"TARGET": "moon"}, "TARGET is 'moon'; must be one of sim, tsim"),
        (
            {"TARGET": "intelfocl"},
            "tangnano20k, pcie; intelfocl was a PCIe card .* which Intel has ended",
        ),
        ({"HW_VER": ""}, "HW_VER is ''"),
        ({"HW_VER": 3}, "HW_VER is 3"),
        ({"HW_VER": "\ud800"}, r"HW_VER is '\\ud800'; must be a string of 1 to 64 printable"),
        ({"HW_VER": "1" * 65}, r"HW_VER is '1+ \.\.\.; must be"),
        ({"LOG_BLOCK": 10**5000}, "LOG_BLOCK is a value of type int that is too large to show"),
        ({"LOG_BLOCK_OUT": 4}, "unknown key 'LOG_BLOCK_OUT': LOG_BLOCK gives both extents"),
        ({"LOG_OUT_WIDTH": 3}, "'LOG_OUT_WIDTH': outputs are as wide as inputs, LOG_INP_WIDTH; le"),
        ({"LOG_OUT_BUFF_SIZE": 3}, "'LOG_OUT_BUFF_SIZE': the size follows from LOG_ACC_BUFF_SIZE"),
        ({"HW_FREQ": 100}, "'HW_FREQ': the clock belongs to a bitstream, `make bitstream MHZ=`"),
        ({"\ud800": 1}, r"unknown key '\\ud800'; known keys are TARGET"),
        ({"LOG_BLOCK": 0}, r"LOG_BLOCK is 0; must be in 1\.\.6"),
        ({"LOG_BLOCK": 7}, r"LOG_BLOCK is 7; must be in 1\.\.6"),
        ({"LOG_BLOCK": "4"}, "LOG_BLOCK is '4'; must be an integer"),
        ({"LOG_BLOCK": 4.0}, r"LOG_BLOCK is 4\.0; must be an integer"),
        ({"LOG_BATCH": True}, "LOG_BATCH is True; must be an integer"),
        ({"LOG_BATCH": -1}, r"LOG_BATCH is -1; must be in 0\.\.2"),
        ({"LOG_INP_WIDTH": 5}, r"LOG_INP_WIDTH is 5; must be in 2\.\.4"),
        ({"LOG_ACC_WIDTH": 4}, r"LOG_ACC_WIDTH is 4; must be in 5\.\.5"),
        ({"LOG_BUS_WIDTH": 5}, r"LOG_BUS_WIDTH is 5; must be in 6\.\.9"),
        ({"EXTENSION": 2}, r"EXTENSION is 2; must be in 0\.\.1"),
        ({"EXTENSION": True}, "EXTENSION is True; must be an integer"),
        ({"ADDR_BITS": 65}, r"ADDR_BITS is 65; must be in 32\.\.64"),
        ({"LOG_UOP_BUFF_SIZE": 16}, r"LOG_UOP_BUFF_SIZE is 16; must be in 3\.\.15"),
        ({"LOG_ACC_BUFF_SIZE": 18}, "LOG_ACC_BUFF_SIZE is 18: .* at most 17"),
        ({"LOG_INP_BUFF_SIZE": 16}, "LOG_INP_BUFF_SIZE is 16.* make them smaller by 1 in all"),
        ({"LOG_WGT_BUFF_SIZE": 19}, "LOG_WGT_BUFF_SIZE is 19: .* make them smaller by 1 in all"),
        ({"LOG_INP_BUFF_SIZE": 4}, r"LOG_INP_BUFF_SIZE is 4: .* must be in 5\.\.20"),
        (
            {"LOG_BLOCK": 6, "LOG_WGT_WIDTH": 4},
            "wgt SRAM would be 65536 bits; must be 8 to 32768",
        ),
        (
            {"LOG_BUS": 6},
            r"unknown key 'LOG_BUS' \(is LOG_BUS_WIDTH meant\?\); known keys are TARGET, HW_VER",
        ),
        ({"log_block": 4}, r"unknown key 'log_block' \(is LOG_BLOCK meant\?\)"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        VTAConfig.from_dict(changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"LOG_INP_BUFF_SIZE": 16, "LOG_WGT_BUFF_SIZE": 17, "LOG_ACC_BUFF_SIZE": 16},
        {"LOG_ACC_BUFF_SIZE": 16, "LOG_WGT_BUFF_SIZE": 19, "LOG_INP_BUFF_SIZE": 15},
        {"LOG_BATCH": 1},
        {"LOG_BLOCK": 5},
        {"LOG_INP_WIDTH": 4},
    ],
)
def test_trades_that_fit(changes):
    VTAConfig.from_dict(changes)


def test_files(tmp_path):
    path = tmp_path / "vta_config.json"
    path.write_text('{"LOG_BLOCK": 4, "TARGET": "tsim"}')
    assert VTAConfig.from_file(path) == VTAConfig(target="tsim")
    for text, message in (
        ("{", "is not JSON"),
        ("[1]", "must be a JSON object, got list"),
        ('{"LOG_BLOCK": 4, "LOG_BLOCK": 5}', "key 'LOG_BLOCK' is given twice"),
        ('{"LOG_BLOCK": 9}', "vta_config.json: LOG_BLOCK is 9"),
        ("[" * 60000, "vta_config.json: lists and objects are nested too deeply"),
        ('{"LOG_BLOCK": ' + "[" * 900 + "]" * 900 + "}", "LOG_BLOCK is .{0,80}; must be an int"),
        ('{"LOG_BLOCK": ' + "9" * 5000 + "}", "vta_config.json: a number has thousands of digits"),
        ('{"LOG_BLOCK": NaN}', "LOG_BLOCK is nan; must be an integer"),
        ('{"HW_VER": "\\ud800"}', r"vta_config.json: HW_VER is '\\ud800'"),
        ('{"' + "K" * 70 + '": 1, "' + "K" * 70 + '": 2}', r"key 'K{59} \.\.\. is given twice"),
        (" " * 70000, "has more than 65536 bytes"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            VTAConfig.from_file(path)
    path.write_bytes('\ufeff{"LOG_BLOCK": 4}'.encode())  # as editors on Windows write it
    assert VTAConfig.from_file(path) == VTAConfig()
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        VTAConfig.from_file(tmp_path / "none.json")


def test_what_a_program_depends_on():
    same = DEFAULT.replace(target="tsim", hw_ver="9", log_bus_width=8, addr_bits=40, extension=0)
    assert same != DEFAULT and same.fingerprint == DEFAULT.fingerprint
    for change in ({"log_batch": 1}, {"log_inp_width": 4}, {"log_uop_buff_size": 14}):
        assert DEFAULT.replace(**change).fingerprint != DEFAULT.fingerprint
