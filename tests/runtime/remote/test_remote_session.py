"""A session with a server does what a local one does."""

import hashlib

import numpy as np
import pytest

import vta
from tests.support.serving import serving
from tests.support.small_vadd import COUNTERS, TINY, vadd_arrays, vadd_module
from tests.support.workloads import schedule_vadd, vadd
from vta import rpc
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import (
    ConfigError,
    DeviceError,
    ProgramError,
    RemoteError,
    SramRangeError,
)
from vta.isa import Finish, Gemm, Isa, Load, MemId
from vta.program import Program, Relocation, TensorSpec
from vta.runtime import CompiledModule, array, empty
from vta.runtime.device import Device, PlacesPrograms
from vta.runtime.remote import wire
from vta.runtime.remote.limits import Limits
from vta.runtime.simulated import SimDevice
from vta.testing import simulator

ISA = Isa.of(TINY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder) as server:
        yield server


@pytest.fixture
def remote(server):
    with server.connect() as remote:
        yield remote


@pytest.fixture(scope="module")
def module():
    return vadd_module()


def test_saved_uploaded_loaded_and_run(server, module, tmp_path, monkeypatch):
    module.save(tmp_path / "vadd.vta")
    monkeypatch.setenv("VTA_RPC_TOKEN", server.token.text)
    with Environment(TINY), rpc.connect("localhost", server.port) as remote:
        vta.reconfig_runtime(remote)
        remote.upload(tmp_path / "vadd.vta")
        f = remote.load_module("vadd.vta")
        arrays, expected = vadd_arrays(remote.ext_dev(0))
        simulator.clear_stats()
        assert f(*arrays).counters.as_dict() == COUNTERS
        np.testing.assert_array_equal(arrays[2].numpy(), expected)
        assert simulator.stats() == COUNTERS
        f(*arrays)
        assert simulator.stats() == {key: 2 * value for key, value in COUNTERS.items()}
        simulator.clear_stats()


def test_a_module_that_was_not_uploaded(remote, module):
    for _ in range(2):
        arrays, expected = vadd_arrays(remote.ext_dev())
        module(*arrays)
        np.testing.assert_array_equal(arrays[2].numpy(), expected)


def test_a_remote_device_is_a_device(remote):
    device = remote.ext_dev(0)
    assert isinstance(device, Device) and isinstance(device, PlacesPrograms)
    assert (device.name, device.cfg) == ("sim", TINY)


def test_time_evaluator_measures_on_the_server(remote, module):
    device = remote.ext_dev()
    arrays, _ = vadd_arrays(device)
    simulator.clear_stats()
    results = []
    device._on_run = results.append
    measured = module.time_evaluator("vadd", device, number=4, repeat=3)(*arrays)
    assert len(measured.results) == 3 and 0 < measured.min <= measured.max < 1
    assert [result.counters.alu_counter for result in results] == [8, 4 * 3 * 8]
    with pytest.raises(RemoteError, match=r"number 2000000, repeat 1; must be in 1\.\.1000000"):
        module.time_evaluator("vadd", device, number=2_000_000)(*arrays)


def test_large_arrays_take_several_messages(remote):
    data = np.random.default_rng(1).integers(-128, 128, 5_000_001, dtype=np.int8)
    there = array(data, remote.ext_dev())
    np.testing.assert_array_equal(there.numpy(), data)


def test_errors_keep_their_classes(remote, tmp_path):
    device = remote.ext_dev()
    with pytest.raises(DeviceError, match="cannot allocate 0 bytes") as error:
        device.alloc(0)
    assert type(error.value) is DeviceError
    code = ISA.encode_all([Gemm(uop_bgn=0, uop_end=1, iter_out=9000, iter_in=1, dst_factor_out=1,
                                reset=True), Finish()])  # fmt: skip
    spec = TensorSpec("x", (4,), "int8")
    module = CompiledModule(Program("far", TINY, code, b"", (spec,), ()))
    with pytest.raises(SramRangeError) as error:
        module(empty((4,), "int8", device))
    assert error.value.index == 0 and error.value.instruction
    local = SimDevice(TINY)
    with pytest.raises(SramRangeError) as expected:
        CompiledModule(module.program)(empty((4,), "int8", local))
    assert str(error.value) == str(expected.value)


def test_another_machine_is_refused(remote, tmp_path):
    other = VTAConfig.preset("default")
    ops = vadd(8, 1, 16)
    with Environment(other):
        module = vta.build(schedule_vadd(ops), ops.args, name="vadd")
        with pytest.raises(ConfigError, match=r"environment is 1x16_.*, the server 127\.0\.0\.1"):
            vta.reconfig_runtime(remote)
    module.save(tmp_path / "x.vta")
    remote.upload(tmp_path / "x.vta")
    with pytest.raises(ProgramError, match=r"compiled for 1x16_.*, but the machine is 1x4_"):
        remote.load_module("x.vta")
    with pytest.raises(ProgramError, match=r"compiled for 1x16_.*, but the machine is 1x4_"):
        remote.ext_dev().place(module.program)


@pytest.mark.parametrize("damage", ["foreign", "truncated", "corrupt", "strays"])
def test_bad_programs_are_refused_by_the_server(remote, module, damage):
    good = module.program.to_bytes()
    load = Load(memory=MemId.INP, dram_base=4, y_size=1, x_size=1, x_stride=1)
    spec = (TensorSpec("x", (4,), "int8", read=True),)
    code = ISA.encode_all([load, Finish()])
    content, message = {
        "foreign": (b"\x7fELF" + bytes(100), "x: not a VTA program"),
        "truncated": (good[:-30], "x: not a VTA program, or damaged"),
        "corrupt": (good[:700] + bytes([good[700] ^ 1]) + good[701:], "x: not a VTA|x: .*program"),
        "strays": (
            Program("stray", TINY, code, b"", spec, (Relocation(0, 0),)).to_bytes(),
            "instruction 0: reaches byte 20 of x",
        ),
    }[damage]
    with pytest.raises(ProgramError, match=message):
        remote.ext_dev().upload("x", content)
    with pytest.raises(DeviceError, match="nothing named 'x' was uploaded"):
        remote.load_module("x")
    module(*vadd_arrays(remote.ext_dev())[0])  # the session goes on


def test_names_and_files(remote, tmp_path):
    (tmp_path / "x").write_text("x")
    for name in ("../x", "a/b", "", ".", "..", "a\\b", "a\0b"):
        with pytest.raises(DeviceError, match="is no plain file name"):
            remote.upload(tmp_path / "x", name)
        with pytest.raises(DeviceError, match="is no plain file name"):
            remote.load_module(name)
    with pytest.raises(DeviceError, match="cannot upload"):
        remote.upload(tmp_path / "nothing")
    with pytest.raises(DeviceError, match="there is only device 0"):
        remote.ext_dev(1)
    with pytest.raises(DeviceError, match="sim is a simulator; it has no FPGA"):
        vta.program_fpga(remote, tmp_path / "x")


# ---- an FPGA ------------------------------------------------------------------------------------


class FakeBoard(SimDevice):
    """A device with an FPGA that takes one bitstream."""

    def __init__(self):
        super().__init__(TINY, memory_bytes=1 << 24)
        self.programmed = []

    def program_fpga(self, bitstream):
        if not bitstream.startswith(b"BIT"):
            raise DeviceError("no bitstream of this board")
        self.programmed.append(hashlib.sha256(bitstream).hexdigest())


def test_an_fpga_is_configured_by_its_only_session(folder, tmp_path):
    board, content = FakeBoard(), b"BIT" + bytes(2_500_000)
    (tmp_path / "good.bit").write_bytes(content)
    (tmp_path / "bad.bit").write_bytes(b"TIB")
    limits = Limits(sessions=2, bitstream_bytes=3_000_000)
    with serving(folder, board, limits) as server, server.connect() as remote:
        remote.program_fpga(tmp_path / "good.bit")
        assert board.programmed == [hashlib.sha256(content).hexdigest()]
        with pytest.raises(DeviceError, match="no bitstream of this board"):
            remote.program_fpga(tmp_path / "bad.bit")
        with pytest.raises(DeviceError, match=r"'good\.bit' is a bitstream; must be a program"):
            remote._connection.call(wire.Place("good.bit"))
        with pytest.raises(DeviceError, match="no bitstream was given"):
            remote.program_fpga(None)
        vadd_module().save(tmp_path / "x.vta")
        with pytest.raises(DeviceError, match=r"'x\.vta' is a program; must be a bitstream"):
            remote.program_fpga(tmp_path / "x.vta")
        (tmp_path / "huge.bit").write_bytes(bytes(3_000_001))
        with pytest.raises(RemoteError, match=r"3000001 bytes; the server takes a file of"):
            remote.program_fpga(tmp_path / "huge.bit")
        with server.connect(), pytest.raises(RemoteError, match="2 sessions use the device"):
            remote.program_fpga(tmp_path / "good.bit")
