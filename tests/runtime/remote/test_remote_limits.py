"""What a server grants is bounded; who waits for the device waits in order."""

import asyncio
import contextlib
import gc
import threading
import time

import numpy as np
import pytest

from tests.support.serving import serving
from tests.support.small_vadd import TINY, vadd_arrays, vadd_module
from vta.errors import ConfigError, DeviceError, RemoteError, SramRangeError
from vta.isa import Finish, Gemm, Isa
from vta.program import Program, TensorSpec
from vta.runtime import CompiledModule, empty
from vta.runtime.remote.credentials import open_credentials
from vta.runtime.remote.limits import Limits
from vta.runtime.remote.server import running
from vta.runtime.simulated import SimDevice

ISA = Isa.of(TINY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def module():
    return vadd_module()


def test_memory_is_bounded_and_comes_back(folder, module):
    with serving(folder, limits=Limits(device_bytes=3 << 20)) as server, server.connect() as remote:
        device = remote.ext_dev()
        for _ in range(10):  # what is garbage is free again
            kept = empty((2 << 20,), "int8", device)
            with pytest.raises(RemoteError, match=r"this session has 2097152 of the 3145728"):
                empty((2 << 20,), "int8", device)
            del kept
            gc.collect()
        for _ in range(50):
            module(*vadd_arrays(device)[0])


def test_every_session_gets_its_share(folder):
    """All of it at the same time, as one buffer."""
    device = SimDevice(TINY, memory_bytes=1 << 24)
    with serving(folder, device, Limits(sessions=5)) as server:
        sessions = [server.connect() for _ in range(5)]
        share = sessions[0]._connection.greeting["limits"]["device_bytes"]
        assert 5 * share <= server.free_at_start < 5 * (share + 4096)
        kept = [empty((share,), "int8", session.ext_dev()) for session in sessions]
        for session, one in zip(sessions, kept):
            with pytest.raises(RemoteError, match=f"this session has {share} of the {share} that"):
                empty((1,), "int8", session.ext_dev())
            one.copyfrom(np.full(share, 7, np.int8))
            session.close()


def test_a_session_that_scatters_its_buffers_leaves_the_others_their_shares(folder):
    """One page of each 16 is kept, as far as the server lets it: no range of another's share is
    taken by that."""
    device = SimDevice(TINY, memory_bytes=1 << 22)
    with serving(folder, device, Limits(sessions=2)) as server, server.connect() as hostile:
        share = hostile._connection.greeting["limits"]["device_bytes"]
        for _ in range(8):
            addrs = []
            with contextlib.suppress(DeviceError):
                while True:
                    addrs.append(hostile.ext_dev().alloc(4096))
            for addr in addrs[len(addrs) % 16 :: 16]:
                addrs.remove(addr)
            for addr in addrs:
                hostile.ext_dev().free(addr)
        with server.connect() as other:
            assert empty((share,), "int8", other.ext_dev()).numpy().any() == 0


def test_small_buffers_count_as_pages(folder):
    device = SimDevice(TINY, memory_bytes=1 << 20)
    limits = Limits(sessions=2, device_bytes=10 * 4096)
    with serving(folder, device, limits) as server, server.connect() as remote:
        kept = [empty((1,), "int8", remote.ext_dev()) for _ in range(10)]
        with pytest.raises(RemoteError, match="this session has 40960 of the 40960"):
            empty((1,), "int8", remote.ext_dev())
        assert len(kept) == 10


def test_a_device_with_less_memory_than_is_granted(folder):
    device = SimDevice(TINY, memory_bytes=1 << 20)
    limits = Limits(sessions=3, device_bytes=1 << 20)

    async def start():
        async with running(device, open_credentials(folder), port=0, limits=limits):
            pass

    with pytest.raises(ConfigError, match="3 sessions with 1048576 bytes of device memory each"):
        asyncio.run(start())
    with pytest.raises(DeviceError, match="is closed"):
        device.alloc(1)


def test_files_are_bounded_in_all(folder, module):
    content = module.program.to_bytes()
    limits = Limits(sessions=1, file_bytes=3 * len(content) - 1)
    with serving(folder, limits=limits) as server, server.connect() as remote:
        device = remote.ext_dev()
        device.upload("a", content)
        device.upload("b", content)
        device.upload("b", content)
        with pytest.raises(RemoteError, match=rf"files of this session have {2 * len(content)},"):
            device.upload("c", content)


def test_a_stream_is_bounded_before_it_is_read(folder):
    with serving(folder, limits=Limits(program_bytes=160)) as server, server.connect() as remote:
        addr = remote.ext_dev().alloc(4096)
        with pytest.raises(RemoteError, match="a stream of 11 instructions; the server takes 160"):
            remote.ext_dev().run(addr, 11)


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


def test_a_run_that_could_take_too_long_does_not_begin(folder):
    endless = Gemm(uop_bgn=0, uop_end=1, iter_out=16383, iter_in=16383, reset=True)
    code = ISA.encode_all([endless, Finish()])
    program = Program("slow", TINY, code, b"", (TensorSpec("x", (4,), "int8"),), ())
    with serving(folder) as server, server.connect() as remote:
        device = remote.ext_dev()
        addr = device.alloc(len(code))
        device.write(addr, code)
        with pytest.raises(
            RemoteError, match=r"the stream could run for \d+ cycles, .*grants 100000000 "
        ):
            device.run(addr, 2)
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
    """Runs a program when it is told to; other programs at once."""

    def __init__(self, program):
        super().__init__(program.cfg, memory_bytes=1 << 24)
        self.instruction_count = program.instruction_count
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def run(self, insn_addr, insn_count):
        if insn_count == self.instruction_count:
            self.begun.release()
            assert self.go.acquire(timeout=20)
        return super().run(insn_addr, insn_count)


def test_others_wait_in_order_and_are_told_their_place(folder, module):
    device = SlowDevice(module.program)
    with serving(folder, device) as server:
        places = [[] for _ in range(4)]
        done = []
        sessions = [server.connect(on_wait=places[n].append) for n in range(4)]
        arrays = [vadd_arrays(session.ext_dev())[0] for session in sessions]
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
        for thread in threads[1:]:
            device.go.release()
            thread.join(20)
        assert done == [0, 1, 2, 3]
        for session in sessions:
            session.close()


def test_a_failed_job_does_not_stop_the_line(folder, module):
    far = Gemm(uop_bgn=0, uop_end=1, iter_out=9000, iter_in=1, dst_factor_out=1, reset=True)
    spec = (TensorSpec("x", (4,), "int8"),)
    bad = CompiledModule(Program("far", TINY, ISA.encode_all([far, Finish()]), b"", spec, ()))
    with serving(folder) as server, server.connect() as remote:
        for _ in range(3):
            with pytest.raises(SramRangeError):
                bad(empty((4,), "int8", remote.ext_dev()))
            module(*vadd_arrays(remote.ext_dev())[0])
