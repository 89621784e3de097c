"""No client reaches what is not its own: every address, every instruction."""

import numpy as np
import pytest

from tests.support.serving import serving
from tests.support.small_vadd import TINY, vadd_arrays, vadd_module
from vta.errors import DeviceError, IllegalInstructionError
from vta.isa import Finish, Isa, Load, MemId, Store
from vta.runtime.remote import wire
from vta.runtime.remote.scrubber import Scrubber
from vta.runtime.simulated import SimDevice

ISA = Isa.of(TINY)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("serve")) as server:
        yield server


@pytest.fixture
def remote(server):
    with server.connect() as remote:
        yield remote


@pytest.fixture(scope="module")
def module():
    return vadd_module()


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
    arrays, _ = vadd_arrays(device)
    addresses = [item.address for item in arrays]
    with server.connect() as other:
        theirs, _ = vadd_arrays(other.ext_dev())
        for wrong in (theirs[2].address, addresses[2] + 4096 * 500, addresses[2] + 1, 0):
            with pytest.raises(DeviceError, match="not in one buffer of this session"):
                placement.run([*addresses[:2], wrong])
        with pytest.raises(DeviceError, match="vadd takes 3 arrays; got 2"):
            placement.run(addresses[:2])
        with pytest.raises(DeviceError, match="no program number 1 is placed"):
            other.ext_dev()._connection.call(wire.Run(1, addresses))


def test_illegal_words_are_refused(remote):
    device = remote.ext_dev()
    code = put(device, b"\xff" * 16)
    with pytest.raises(IllegalInstructionError) as error:
        device.run(code, 1)
    assert error.value.index == 0


SECRET = np.arange(1, 5, dtype="<i4").tobytes()


def load_stream(source):
    """Leave a tile in the last accumulator."""
    last = (1 << TINY.log_acc_depth) - 1
    load = Load(memory=MemId.ACC, sram_base=last, dram_base=source // TINY.acc_elem_bytes,
                y_size=1, x_size=1, x_stride=1)  # fmt: skip
    return ISA.encode_all([load, Finish()])


def store_stream(target):
    """Store the last accumulator, which nobody has written."""
    last = (1 << TINY.log_acc_depth) - 1
    store = Store(sram_base=last, dram_base=target // TINY.out_elem_bytes, y_size=1, x_size=1,
                  x_stride=1)  # fmt: skip
    return ISA.encode_all([store, Finish()])


def test_nothing_is_left_on_chip_for_the_next_session(server, remote):
    device = remote.ext_dev()
    code = put(device, load_stream(put(device, SECRET)))
    target = device.alloc(4)
    own = put(device, store_stream(target))
    device.run(code, 2)
    device.run(own, 2)
    assert device.read(target, 4) == bytes([1, 2, 3, 4])  # for the same session it is
    device.run(code, 2)
    with server.connect() as other:
        theirs = other.ext_dev().alloc(4)
        other.ext_dev().write(theirs, b"xxxx")
        other.ext_dev().run(put(other.ext_dev(), store_stream(theirs)), 2)
        assert other.ext_dev().read(theirs, 4) == bytes(4)


def test_a_wipe_reaches_every_memory():
    device = SimDevice(TINY, memory_bytes=1 << 24)
    scrubber = Scrubber(device)
    scrubber.hand_to("one")
    path = device._machine.datapath
    memories = [path.uop, path.inp, path.wgt, path.acc]
    for memory in memories:
        memory[...] = 1
    scrubber.hand_to("one")
    assert all(memory.all() for memory in memories)
    scrubber.hand_to("two")
    assert not any(memory.any() for memory in memories)
