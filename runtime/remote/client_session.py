"""What one client has on the server: buffers, files, placed programs.

Here everything that a client may do to the device is checked. An address must lie in a buffer of
this session; an instruction stream must move data in such buffers only, however it came here; what
is run was written by the server itself, to memory that no client has.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right, insort
from time import perf_counter
from typing import TYPE_CHECKING

from vta.bitstream import Bitstream
from vta.config import INSN_BYTES
from vta.cycle_bound import cycle_bound
from vta.errors import DeviceError, IllegalInstructionError, RemoteError
from vta.isa import IllegalEncodingError, Isa, Load, Store, disassemble
from vta.memory_timing import MemoryTiming
from vta.program import Program
from vta.run_result import Counters, RunResult
from vta.runtime.device import Programmable
from vta.runtime.placement import LocalPlacement
from vta.runtime.remote.share import Share
from vta.runtime.session import not_uploaded, require_fpga, require_plain_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.runtime.device import Device
    from vta.runtime.remote.limits import Limits
    from vta.runtime.remote.scrubber import Scrubber

__all__ = ["ClientSession", "total"]

_ZIP = b"PK\x03\x04"  # programs and bitstreams are ZIP archives (vta.container)


class ClientSession:
    """One client's session: its share of a device.

    Not thread-safe; all methods but :meth:`upload` use the device. Addresses and sizes are bytes.

    Parameters
    ----------
    device : Device
        Shared with other sessions.
    scrubber : Scrubber
        Of the device; shared with other sessions.
    limits : Limits
        What this session may have.
    share : int
        Its device memory in bytes, a multiple of 4096.
    """

    def __init__(self, device: Device, scrubber: Scrubber, limits: Limits, share: int) -> None:
        self._device, self._scrubber, self._limits = device, scrubber, limits
        self._share = Share(device, share)
        self._buffers: dict[int, int] = {}  # address: bytes
        self._starts: list[int] = []  # of the buffers, ascending
        self._files: dict[str, Program | bytes] = {}
        self._file_sizes: dict[str, int] = {}
        self._placed: dict[int, LocalPlacement] = {}
        self._numbers = itertools.count(1)
        self._part: tuple[str, int, bytearray] | None = None  # name, size, bytes so far

    # ---- memory ----------------------------------------------------------------------------------

    def alloc(self, nbytes: int) -> int:
        """A new buffer of zeros.

        Raises
        ------
        RemoteError
            If the session's share is used up.
        DeviceError
            If no free range of the share is large enough.
        """
        self._require_room(nbytes)
        addr = self._share.alloc(nbytes)
        self._buffers[addr] = nbytes
        insort(self._starts, addr)
        return addr

    def free(self, addrs: Sequence[int], placements: Sequence[int]) -> None:
        """Give back what is still there of these."""
        for number in placements:
            if placement := self._placed.pop(number, None):
                placement.free()
        for addr in addrs:
            if self._buffers.pop(addr, None) is not None:
                self._starts.remove(addr)
                self._share.free(addr)

    def write(self, addr: int, data: bytes | memoryview) -> None:
        self._require_buffer(addr, len(data))
        self._device.write(addr, bytes(data))

    def read(self, addr: int, nbytes: int) -> bytes:
        self._require_buffer(addr, nbytes)
        return self._device.read(addr, nbytes)

    def release(self) -> None:
        """Free everything: the end of the session."""
        self.free(list(self._buffers), list(self._placed))
        self._share.close()
        self._files.clear()
        self._file_sizes.clear()
        self._part = None

    def _require_room(self, nbytes: int) -> None:
        limits, taken = self._limits, self._share.taken_bytes
        if taken + nbytes > self._share.nbytes:
            raise RemoteError(
                f"{nbytes} bytes of device memory; this session has {taken} of the "
                f"{self._share.nbytes} that the server grants (vta serve --sessions, "
                f"--session-memory)"
            )
        if len(self._buffers) + len(self._placed) >= limits.buffers:
            raise RemoteError(
                f"this session has {limits.buffers} buffers and programs in device memory; the "
                f"server grants no more"
            )

    def _require_buffer(self, addr: int, nbytes: int) -> None:
        """The range must lie in one buffer of this session."""
        at = bisect_right(self._starts, addr) - 1
        start = self._starts[at] if at >= 0 else 0
        if at < 0 or addr + nbytes > start + self._buffers[start]:
            raise DeviceError(
                f"bytes 0x{addr:x}..0x{addr + nbytes:x} are not in one buffer of this session"
            )

    # ---- files -----------------------------------------------------------------------------------

    def upload(self, name: str, size: int, offset: int, data: bytes | memoryview) -> None:
        """Take a piece of a file; the last one completes it, and then it is checked.

        Raises
        ------
        DeviceError
            If the name is no plain file name.
        RemoteError
            If the pieces do not follow each other, or the session's share is used up.
        ProgramError
            If it is neither a program nor a bitstream for a device that takes one.
        """
        part, self._part = self._part, None  # an error ends the upload
        if offset == 0:
            self._require_file(require_plain_name(name), size)
            part = (name, size, bytearray())
        if part is None or part[:2] != (name, size) or offset != len(part[2]):
            raise RemoteError(f"the piece at byte {offset} of {name!r} does not follow the last")
        if offset + len(data) > size:
            raise RemoteError(f"{name!r} was announced with {size} bytes; more have come")
        part[2].extend(data)
        if len(part[2]) < size:
            self._part = part
            return
        content = bytes(part[2])
        if isinstance(self._device, Programmable) and not self._is_program(content):
            self._files[name] = content  # the device checks it when it is used
        else:
            self._require_size(name, size, self._limits.program_bytes, "program")
            self._files[name] = Program.from_bytes(content, where=name)
        self._file_sizes[name] = size

    @staticmethod
    def _is_program(content: bytes) -> bool:
        return content.startswith(_ZIP) and not Bitstream.is_one(content)

    def _require_file(self, name: str, size: int) -> None:
        if name not in self._files and len(self._files) >= self._limits.files:
            raise RemoteError(
                f"this session has {self._limits.files} files; the server grants no more"
            )
        others = sum(other for key, other in self._file_sizes.items() if key != name)
        if others + size > self._limits.file_bytes:
            raise RemoteError(
                f"{name!r} has {size} bytes; the other files of this session have {others}, and "
                f"the server grants {self._limits.file_bytes} in all"
            )
        if isinstance(self._device, Programmable):
            self._require_size(name, size, self._limits.bitstream_bytes, "file")
        else:
            self._require_size(name, size, self._limits.program_bytes, "program")

    def _require_size(self, name: str, size: int, limit: int, what: str) -> None:
        if not 0 < size <= limit:
            raise RemoteError(f"{name!r} has {size} bytes; the server takes a {what} of 1..{limit}")

    def _file(self, name: str) -> Program | bytes:
        if name not in self._files:
            raise not_uploaded(name)
        return self._files[name]

    def program_fpga(self, name: str) -> None:
        """Configure the FPGA with an uploaded bitstream.

        Raises
        ------
        DeviceError
            If the device has no FPGA, the file is none, or the device refuses it.
        """
        device = require_fpga(self._device)
        content = self._file(name)
        if isinstance(content, Program):
            raise DeviceError(f"{name!r} is a program; must be a bitstream")
        device.program_fpga(content)
        self._scrubber.forget()

    # ---- programs --------------------------------------------------------------------------------

    def place(self, name: str) -> int:
        """Put an uploaded program into device memory; returns its number.

        Raises
        ------
        ProgramError
            If it is for another configuration.
        RemoteError
            If it could run too long, or the session's share is used up.
        """
        program = self._file(name)
        if not isinstance(program, Program):
            raise DeviceError(f"{name!r} is a bitstream; must be a program")
        program.require_machine(self._device.cfg)
        self._require_short(program.code, f"program {program.name!r}")
        self._require_room(len(program.code) + len(program.uops))
        number = next(self._numbers)
        self._placed[number] = LocalPlacement(program, self._share)
        return number

    def run(self, number: int, addrs: Sequence[int]) -> tuple[float, RunResult]:
        """Run a placed program once; returns the seconds on the device and the result.

        Raises
        ------
        DeviceError
            If there is no such program, an argument's buffer is not this session's or too small, or
            the run fails.
        """
        if number not in self._placed:
            raise DeviceError(f"no program number {number} is placed on this device")
        placement = self._placed[number]
        tensors = placement.program.tensors
        if len(addrs) != len(tensors):
            raise DeviceError(
                f"{placement.program.name} takes {len(tensors)} arrays; got {len(addrs)}"
            )
        for tensor, addr in zip(tensors, addrs):
            self._require_buffer(addr, tensor.nbytes)
        self._scrubber.hand_to(self)
        start = perf_counter()
        result = placement.run(addrs)
        return perf_counter() - start, result

    def execute(self, addr: int, count: int) -> RunResult:
        """Run the instructions in a buffer, from a copy that they cannot change.

        Raises
        ------
        DeviceError
            If they are not in a buffer of this session, or move data elsewhere.
        IllegalInstructionError
            If one is none.
        RemoteError
            If they are more than a program may have, or could run too long.
        """
        if count * INSN_BYTES > self._limits.program_bytes:
            raise RemoteError(
                f"a stream of {count} instructions; the server takes {self._limits.program_bytes} "
                f"bytes, {INSN_BYTES} an instruction"
            )
        stream = self.read(addr, count * INSN_BYTES)
        self._require_room(len(stream))
        self._require_short(stream, "the stream")
        isa = Isa.of(self._device.cfg)
        for index in range(count):
            word = stream[index * INSN_BYTES : (index + 1) * INSN_BYTES]
            try:
                insn = isa.decode(word)
            except IllegalEncodingError as error:
                raise IllegalInstructionError(
                    str(error), index=index, instruction=word.hex()
                ) from None
            if isinstance(insn, Load | Store):
                self._require_transfer(isa, index, insn)
        code = self._share.alloc(max(len(stream), 1))
        try:
            self._device.write(code, stream)
            self._scrubber.hand_to(self)
            return self._device.run(code, count)
        finally:
            self._share.free(code)

    def _require_transfer(self, isa: Isa, index: int, insn: Load | Store) -> None:
        if insn.is_nop or not insn.y_size:
            return  # touches no memory
        elem_bytes = isa.elem_bytes(insn.memory)
        elements = (insn.y_size - 1) * insn.x_stride + insn.x_size
        try:
            self._require_buffer(insn.dram_base * elem_bytes, elements * elem_bytes)
        except DeviceError as error:
            raise DeviceError(f"instruction {index}, {disassemble(insn)}: {error}") from None

    def _require_short(self, stream: bytes, what: str) -> None:
        bound = cycle_bound(Isa.of(self._device.cfg), stream, MemoryTiming.of("ideal"))
        if bound > self._limits.cycles:
            raise RemoteError(
                f"{what} could run for {bound} cycles, by a generous estimate; the server grants "
                f"{self._limits.cycles} (vta serve --cycles)"
            )


def total(results: Sequence[RunResult]) -> RunResult:
    """The results of several runs as one; the tokens are those of the last."""
    counters = sum((result.counters for result in results), Counters())
    cycles = [result.cycle_count for result in results if result.cycle_count is not None]
    return RunResult(counters, sum(cycles) if cycles else None, results[-1].tokens)
