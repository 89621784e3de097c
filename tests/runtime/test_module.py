"""Modules and sessions: calls are checked, files round-trip, statistics add up."""

import numpy as np
import pytest

import vta
from tests.support.workloads import schedule_vadd, vadd
from vta import rpc
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import (
    ConfigError,
    DeviceError,
    DramRangeError,
    NotProvidedError,
    ProgramError,
)
from vta.isa import Finish, Isa, Load, MemId
from vta.program import Program, Relocation, TensorSpec
from vta.runtime import CompiledModule, array, empty
from vta.runtime.device import Device
from vta.runtime.simulated import SimDevice
from vta.testing import simulator

CFG = VTAConfig.preset("tiny")
SHAPE = (1, 8, 1, 4)
COUNTERS = {
    "inp_load_nbytes": 0,
    "wgt_load_nbytes": 0,
    "acc_load_nbytes": 2 * 8 * 16,
    "uop_load_nbytes": 4,
    "out_store_nbytes": 8 * 4,
    "gemm_counter": 0,
    "alu_counter": 8,
}


@pytest.fixture
def env():
    with Environment(CFG) as env:
        yield env


@pytest.fixture
def module(env):
    ops = vadd(8, 1, 4)
    return vta.build(schedule_vadd(ops), ops.args, name="vadd")


def operands(device):
    rng = np.random.default_rng(5)
    a, b = rng.integers(-(2**31), 2**31, (2, *SHAPE), dtype=np.int32)
    return (array(a, device), array(b, device), empty(SHAPE, "int8", device)), a, b


def test_saved_uploaded_loaded_and_run(module, tmp_path):
    module.save(tmp_path / "vadd.vta")
    remote = rpc.LocalSession()
    remote.upload(tmp_path / "vadd.vta")
    f = remote.load_module("vadd.vta")
    arrays, a, b = operands(remote.ext_dev(0))
    simulator.clear_stats()
    assert f(*arrays).counters.as_dict() == COUNTERS
    np.testing.assert_array_equal(arrays[2].numpy(), (a + b).astype(np.int8))
    assert simulator.stats() == COUNTERS
    f(*arrays)
    assert simulator.stats() == {key: 2 * value for key, value in COUNTERS.items()}
    simulator.clear_stats()
    assert not any(simulator.stats().values())


def test_one_module_on_two_devices_and_other_arrays(module):
    for device in (SimDevice(CFG), SimDevice(CFG)):
        for _ in range(2):
            arrays, a, b = operands(device)
            module(*arrays)
            np.testing.assert_array_equal(arrays[2].numpy(), (a + b).astype(np.int8))


def test_simulators_are_devices():
    assert isinstance(SimDevice(CFG), Device)


def test_another_machine_is_refused(module, tmp_path):
    module.save(tmp_path / "vadd.vta")
    remote = rpc.LocalSession(VTAConfig.preset("default"))
    remote.upload(tmp_path / "vadd.vta")
    with pytest.raises(ProgramError, match="1x4_i8w8a32_8_8_10_10, but the machine is 1x16_i8"):
        remote.load_module("vadd.vta")
    arrays, _, _ = operands(remote.ext_dev(0))
    with pytest.raises(ProgramError, match="but the machine is"):
        module(*arrays)


def test_arguments_are_checked(module):
    device = SimDevice(CFG)
    (a, b, c), _, _ = operands(device)
    with pytest.raises(DeviceError, match=r"vadd takes 3 arrays \(A, B, C\); got 2"):
        module(a, b)
    with pytest.raises(DeviceError, match="argument B must be a device array; got ndarray"):
        module(a, np.zeros(SHAPE, np.int32), c)
    with pytest.raises(DeviceError, match=r"argument C must be int8 of shape \(1, 8, 1, 4\); got"):
        module(a, b, empty(SHAPE, "int32", device))
    with pytest.raises(DeviceError, match="argument A must be int32"):
        module(empty((8, 4), "int32", device), b, c)
    with pytest.raises(DeviceError, match="argument B lies on another device"):
        module(a, operands(SimDevice(CFG))[0][1], c)
    module(a, a, c)  # two inputs may be one array


def test_a_result_must_not_share_memory():
    x, y = TensorSpec("x", (4,), "int8", read=True), TensorSpec("y", (4,), "int8", written=True)
    program = Program("copy", CFG, Isa.of(CFG).encode(Finish()), b"", (x, y), ())
    both = empty((4,), "int8", SimDevice(CFG))
    with pytest.raises(DeviceError, match="the result y shares memory with x"):
        CompiledModule(program)(both, both)


def test_left_over_tokens_are_an_error():
    code = Isa.of(CFG).encode_all([Load(memory=MemId.INP, push_next=True), Finish()])
    module = CompiledModule(Program("leak", CFG, code, b"", (TensorSpec("x", (4,), "int8"),), ()))
    with pytest.raises(DeviceError, match=r"leak: the run left tokens behind: \{'l2g': 1\}"):
        module(empty((4,), "int8", SimDevice(CFG)))


def test_a_program_that_strays_is_stopped():
    load = Load(memory=MemId.INP, dram_base=4, y_size=1, x_size=1, x_stride=1)
    code = Isa.of(CFG).encode_all([load, Finish()])
    spec = (TensorSpec("x", (4,), "int8", read=True),)
    program = Program("stray", CFG, code, b"", spec, (Relocation(0, 0),))
    with pytest.raises(ProgramError, match="instruction 0: reaches byte 20 of x"):
        program.check()
    with pytest.raises(DramRangeError, match="not all in one allocated buffer"):
        CompiledModule(program)(empty((4,), "int8", SimDevice(CFG)))


def test_time_evaluator(module):
    device = SimDevice(CFG)
    arrays, _, _ = operands(device)
    result = module.time_evaluator(module.entry_name, device, number=2, repeat=3)(*arrays)
    assert len(result.results) == 3
    assert 0 < result.min <= result.median <= result.max
    assert result.min <= result.mean <= result.max and result.std >= 0
    with pytest.raises(DeviceError, match="no function 'main'; it has 'vadd'"):
        module.time_evaluator("main", device)
    with pytest.raises(DeviceError, match="number is 0"):
        module.time_evaluator("vadd", device, number=0)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "a\\b"])
def test_names_stay_in_the_session(env, tmp_path, name):
    remote = rpc.LocalSession()
    (tmp_path / "x").write_text("x")
    with pytest.raises(DeviceError, match="is no plain file name"):
        remote.upload(tmp_path / "x", name)
    with pytest.raises(DeviceError, match="is no plain file name"):
        remote.load_module(name)


def test_sessions_refuse_what_is_not_there(env, tmp_path):
    remote = rpc.LocalSession()
    with pytest.raises(DeviceError, match="nothing named 'x' was uploaded"):
        remote.load_module("x")
    with pytest.raises(DeviceError, match="cannot upload"):
        remote.upload(tmp_path / "x")
    with pytest.raises(DeviceError, match="there is only device 0"):
        remote.ext_dev(1)
    with pytest.raises(DeviceError, match=r"u-dma-buf is not loaded, or this machine is not the b"):
        rpc.LocalSession(CFG.replace(target="pynq")).ext_dev(0)
    with pytest.raises(DeviceError, match=r"the target ulx3s .* serial line: say which \(port="):
        rpc.LocalSession(CFG.replace(target="ulx3s")).ext_dev(0)
    with pytest.raises(DeviceError, match="sim is a simulator; it has no FPGA"):
        vta.program_fpga(remote, bitstream=None)
    vta.reconfig_runtime(remote)
    with (
        Environment(VTAConfig.preset("default")),
        pytest.raises(ConfigError, match=r"environment is 1x16_.*, the session's device is 1x4"),
    ):
        vta.reconfig_runtime(remote)


def test_names_of_other_sessions_say_what_to_use(env):
    session = rpc.LocalSession(CFG)
    with pytest.raises(NotProvidedError, match=r"session\.get_function is no part .*load_module"):
        session.get_function("vadd")
    with pytest.raises(NotProvidedError, match=r"session\.cuda is no part .*session\.ext_dev\(0\)"):
        session.cuda(0)
    with pytest.raises(AttributeError, match=r"a session has no frobnicate; it has cfg, close"):
        session.frobnicate  # noqa: B018
    assert not hasattr(session, "frobnicate")


def test_closing_a_session_frees_its_device(env):
    remote = rpc.LocalSession()
    x = empty((4,), "int8", remote.ext_dev(0))
    remote.close()
    with pytest.raises(DeviceError, match="closed"):
        x.numpy()


def test_devices_of_one_name_are_told_apart(module):
    here, there = SimDevice(CFG), SimDevice(CFG)
    (a, _, c), _, _ = operands(here)
    message = (
        rf"object 0x{id(there):x}\) than the one that runs it \(sim.*, object 0x{id(here):x}\)"
    )
    with pytest.raises(DeviceError, match=message):
        module(a, operands(there)[0][1], c)
    with pytest.raises(DeviceError, match=rf"lie on .* 0x{id(here):x}, not on .* 0x{id(there):x}"):
        module.time_evaluator("vadd", there)(*operands(here)[0])
    tiny = SimDevice(VTAConfig.preset("default"))
    with pytest.raises(
        DeviceError, match=r"another device \(sim\(1x16\S+\)\) than .* \(sim\(\S+\)\)"
    ):
        module(a, operands(tiny)[0][1], c)


def test_wrong_calls_are_named(module):
    (a, b, c), _, _ = operands(SimDevice(CFG))
    with pytest.raises(
        DeviceError, match=r"got the named arguments B, C; .* in the order A, B, C,"
    ):
        module(a, B=b, C=c)
    with pytest.raises(DeviceError, match="got 1, a list: pass the arrays themselves"):
        module([a, b, c])


def test_a_session_has_one_kind_of_device():
    session = rpc.LocalSession(CFG)
    assert (
        session.device("ext_dev -device=vta") is session.ext_dev(0) is session.device("ext_dev", 0)
    )
    for name in ("gpu", "cpu", "llvm", ""):
        with pytest.raises(
            DeviceError,
            match=rf"session\.device\('{name}'\): must be 'ext_dev', the accel",
        ):
            session.device(name)
    with pytest.raises(DeviceError, match="there is only device 0"):
        session.device("ext_dev", 1)
