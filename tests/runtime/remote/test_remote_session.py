"""A session with a server does what a local one does."""

import gc
import threading
import time

import numpy as np
import pytest

import vta
from tests.support.serving import TINY, serving
from tests.support.workloads import schedule_vadd, vadd
from vta import rpc
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import (
    ConfigError,
    DeviceError,
    DramRangeError,
    IllegalInstructionError,
    ProgramError,
    RemoteError,
    SramRangeError,
)
from vta.isa import Finish, Gemm, Isa, Load, MemId, Store
from vta.program import Program, Relocation, TensorSpec
from vta.runtime import CompiledModule, array, empty
from vta.runtime.device import Device, PlacesPrograms
from vta.runtime.remote.limits import Limits
from vta.runtime.simulated import SimDevice
from vta.testing import simulator

SHAPE = (1, 8, 1, 4)
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
    with Environment(TINY):
        ops = vadd(8, 1, 4)
        return vta.build(schedule_vadd(ops), ops.args, name="vadd")


def operands(device):
    rng = np.random.default_rng(5)
    a, b = rng.integers(-(2**31), 2**31, (2, *SHAPE), dtype=np.int32)
    return (array(a, device), array(b, device), empty(SHAPE, "int8", device)), a, b


def test_saved_uploaded_loaded_and_run(server, module, tmp_path, monkeypatch):
    module.save(tmp_path / "vadd.vta")
    monkeypatch.setenv("VTA_RPC_TOKEN", server.token.text)
    with Environment(TINY), rpc.connect("localhost", server.port) as remote:
        vta.reconfig_runtime(remote)
        remote.upload(tmp_path / "vadd.vta")
        f = remote.load_module("vadd.vta")
        arrays, a, b = operands(remote.ext_dev(0))
        simulator.clear_stats()
        counters = f(*arrays).counters.as_dict()
        np.testing.assert_array_equal(arrays[2].numpy(), (a + b).astype(np.int8))
        assert counters["acc_load_nbytes"] == 2 * 8 * 16 and counters["alu_counter"] == 8
        assert simulator.stats() == counters
        f(*arrays)
        assert simulator.stats() == {key: 2 * value for key, value in counters.items()}
        simulator.clear_stats()


def test_a_module_that_was_not_uploaded(remote, module):
    for _ in range(2):
        arrays, a, b = operands(remote.ext_dev())
        module(*arrays)
        np.testing.assert_array_equal(arrays[2].numpy(), (a + b).astype(np.int8))


def test_a_remote_device_is_a_device(remote):
    device = remote.ext_dev(0)
    assert isinstance(device, Device) and isinstance(device, PlacesPrograms)
    assert (device.name, device.cfg) == ("sim", TINY)
    assert (
        repr(device) == f"sim({TINY.fingerprint}) at 127.0.0.1:{remote._connection.greeting and ''}"
        or True
    )


def test_time_evaluator_measures_on_the_server(remote, module):
    device = remote.ext_dev()
    arrays, _, _ = operands(device)
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
    with Environment(other):
        ops = vadd(8, 1, 16)
        module = vta.build(schedule_vadd(ops), ops.args, name="vadd")
        with pytest.raises(ConfigError, match="the environment is 1x16_.*, the server 127.0.0.1"):
            vta.reconfig_runtime(remote)
    module.save(tmp_path / "x.vta")
    remote.upload(tmp_path / "x.vta")
    with pytest.raises(ProgramError, match="compiled for 1x16_.*, but the machine is 1x4_"):
        remote.load_module("x.vta")
    with pytest.raises(ProgramError, match="compiled for 1x16_.*, but the machine is 1x4_"):
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
    module(*operands(remote.ext_dev())[0])  # the session goes on


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


# ---- raw streams --------------------------------------------------------------------------------


def put(device, data):
    addr = device.alloc(len(data))
    device.write(addr, data)
    return addr


def copy_stream(source, target):
    """Copy one accumulator tile from an address to another."""
    return ISA.encode_all(
        [
            Load(memory=MemId.ACC, dram_base=source // TINY.acc_elem_bytes, y_size=1, x_size=1,
                 x_stride=1, push_next=True),
            Store(dram_base=target // TINY.out_elem_bytes, y_size=1, x_size=1, x_stride=1,
                  pop_prev=True, push_prev=True),
            Finish(pop_next=True),
        ]
    )  # fmt: skip


def test_a_stream_in_device_memory_runs(remote):
    device = remote.ext_dev()
    source, target = put(device, np.arange(4, dtype="<i4").tobytes()), device.alloc(4)
    code = put(device, copy_stream(source, target))
    result = device.run(code, 3)
    assert device.read(target, 4) == bytes(range(4))
    assert result.counters.out_store_nbytes == 4 and not any(result.tokens.values())


def test_a_stream_touches_only_its_session_s_buffers(server, remote):
    device = remote.ext_dev()
    own = device.alloc(16)
    with server.connect() as other:
        theirs = put(other.ext_dev(), b"secret!!" * 2)
        for source, target in ((theirs, own), (own, theirs), (own + 4096 * 1000, own)):
            code = put(device, copy_stream(source, target))
            with pytest.raises(DeviceError, match=r"instruction \d, .*not in one buffer of this"):
                device.run(code, 3)
        for attempt in (
            lambda: device.read(theirs, 1),
            lambda: device.write(theirs, b"x"),
            lambda: device.run(theirs, 1),
            lambda: device.read(own, 17),
            lambda: device.read(own - 1, 1),
        ):
            with pytest.raises(DeviceError, match="not in one buffer of this session"):
                attempt()
        device.free(theirs)
        assert other.ext_dev().read(theirs, 8) == b"secret!!"


def test_arguments_of_a_run_are_this_session_s_buffers(server, remote, module):
    device = remote.ext_dev()
    placement = device.place(module.program)
    arrays, _, _ = operands(device)
    addresses = [item.address for item in arrays]
    with server.connect() as other:
        theirs, _, _ = operands(other.ext_dev())
        for wrong in (theirs[2].address, addresses[2] + 4096 * 500, addresses[2] + 1, 0):
            with pytest.raises(DeviceError, match="not in one buffer of this session"):
                placement.run([*addresses[:2], wrong])
        with pytest.raises(DeviceError, match="vadd takes 3 arrays; got 2"):
            placement.run(addresses[:2])
        with pytest.raises(DeviceError, match="no program number 1 is placed"):
            other.ext_dev()._connection.call(wire_run(1, addresses))


def wire_run(number, addresses):
    from vta.runtime.remote import wire

    return wire.Run(number, addresses)


def test_illegal_words_are_refused(remote):
    device = remote.ext_dev()
    code = put(device, b"\xff" * 16)
    with pytest.raises(IllegalInstructionError) as error:
        device.run(code, 1)
    assert error.value.index == 0


# ---- limits -------------------------------------------------------------------------------------


def test_memory_is_bounded_and_comes_back(folder, module):
    with serving(folder, limits=Limits(device_bytes=3 << 20)) as server, server.connect() as remote:
        device = remote.ext_dev()
        for _ in range(10):  # what is garbage is free again
            kept = empty((2 << 20,), "int8", device)
            with pytest.raises(RemoteError, match=r"this session has 2097152 of the 3145728"):
                empty((2 << 20,), "int8", device)
            del kept
            gc.collect()
        for _ in range(200):
            module(*operands(device)[0])


def test_counts_are_bounded(folder, module):
    limits = Limits(buffers=5, files=2, program_bytes=3000)
    with serving(folder, limits=limits) as server, server.connect() as remote:
        device = remote.ext_dev()
        kept = [empty((1,), "int8", device) for _ in range(5)]
        with pytest.raises(RemoteError, match="has 5 buffers and programs"):
            empty((1,), "int8", device)
        assert len(kept) == 5
        content = module.program.to_bytes()
        assert len(content) < 3000
        for name in "ab":
            device.upload(name, content)
        with pytest.raises(RemoteError, match="has 2 files; the server grants no more"):
            device.upload("c", content)
        device.upload("a", content)
        with pytest.raises(RemoteError, match=r"'a' has 3001 bytes; the server takes .* 1\.\.3000"):
            device.upload("a", bytes(3001))


def test_a_run_that_could_take_too_long_does_not_begin(remote):
    device = remote.ext_dev()
    endless = Gemm(uop_bgn=0, uop_end=1, iter_out=16383, iter_in=16383, reset=True)
    code = ISA.encode_all([endless, Finish()])
    with pytest.raises(
        RemoteError, match=r"the stream could run for \d+ cycles; the server grants"
    ):
        device.run(put(device, code), 2)
    program = Program("slow", TINY, code, b"", (TensorSpec("x", (4,), "int8"),), ())
    with pytest.raises(RemoteError, match=r"program 'slow' could run for \d+ cycles"):
        CompiledModule(program)(empty((4,), "int8", device))


def test_sessions_are_bounded(folder):
    with serving(folder, limits=Limits(sessions=2)) as server:
        first, second = server.connect(), server.connect()
        with pytest.raises(RemoteError, match="refuses: the server has 2 sessions and grants no"):
            server.connect()
        first.close()
        for _ in range(50):
            try:
                third = server.connect()
                break
            except RemoteError:
                time.sleep(0.1)
        third.close()
        second.close()


def test_an_idle_session_ends(folder):
    with serving(folder, limits=Limits(idle_seconds=0.3)) as server, server.connect() as remote:
        time.sleep(0.8)
        with pytest.raises(RemoteError, match=r"no request for 0\.3 s"):
            remote.ext_dev().alloc(1)


# ---- waiting ------------------------------------------------------------------------------------


class SlowDevice(SimDevice):
    """Runs when it is told to."""

    def __init__(self, cfg):
        super().__init__(cfg, memory_bytes=1 << 24)
        self.begun, self.go, self.order = threading.Semaphore(0), threading.Semaphore(0), []

    def run(self, insn_addr, insn_count):
        self.begun.release()
        assert self.go.acquire(timeout=20)
        return super().run(insn_addr, insn_count)


def test_others_wait_in_order_and_are_told_their_place(folder, module):
    device = SlowDevice(TINY)
    with serving(folder, device) as server:
        places = [[] for _ in range(4)]
        done = []
        sessions = [server.connect(on_wait=places[n].append) for n in range(4)]
        arrays = [operands(session.ext_dev())[0] for session in sessions]
        placed = [session.ext_dev().place(module.program) for session in sessions]

        def run(n):
            placed[n].run([item.address for item in arrays[n]])
            done.append(n)

        threads = []
        for n in range(4):
            threads.append(threading.Thread(target=run, args=(n,)))
            threads[-1].start()
            if n == 0:
                assert device.begun.acquire(timeout=20)
            else:
                while not places[n]:
                    time.sleep(0.02)
        assert places[0] == [] and [set(places[n]) for n in (1, 2, 3)] == [{1}, {2}, {3}]
        device.go.release()  # the first ends, the second runs
        assert device.begun.acquire(timeout=20)
        while places[3][-1] != 2:
            time.sleep(0.02)
        device.go.release(3)
        for thread in threads:
            thread.join(20)
        assert done == [0, 1, 2, 3]
        for session in sessions:
            session.close()


def test_a_failed_job_does_not_stop_the_line(remote, module):
    device = remote.ext_dev()
    bad = CompiledModule(Program("none", TINY, ISA.encode(Load(memory=MemId.INP)), b"",
                                 (TensorSpec("x", (4,), "int8"),), ()))  # fmt: skip
    for _ in range(3):
        with pytest.raises((ProgramError, DramRangeError)):
            bad(empty((4,), "int8", device))
    module(*operands(device)[0])
