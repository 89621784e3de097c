"""The interfaces between the blocks, named once.

Every block is a ``wiring.Component``; streams are ``amaranth.lib.stream``. Instruction and
micro-op layouts are made from the tables of :mod:`vta.isa`, so that hardware and encoder cannot
disagree.
"""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.isa import Format, Isa
from vta.memmap import ErrorCode, ModuleState, Source

ID_BITS = 4
"""Width of the AXI IDs."""

BEATS_BITS = 26
"""Width of the length of a request: the largest SRAM that a configuration can have (2^28 bytes) in
the narrowest beats (8 bytes), and more, because it is clipped only to 2^17 elements."""


def layout_of(fmt: Format) -> data.FlexibleLayout:
    """The Amaranth layout of an instruction or micro-op format."""
    from amaranth.hdl import signed, unsigned

    return data.FlexibleLayout(
        fmt.bits,
        {
            f.name: data.Field(signed(f.width) if f.signed else unsigned(f.width), f.offset)
            for f in fmt.fields
        },
    )


class AXI4Signature(wiring.Signature):
    """AXI4 memory port, from the side of the master. Member names are the standard's, in lower
    case."""

    def __init__(self, *, addr_bits: int, data_bits: int, id_bits: int = ID_BITS):
        self.addr_bits, self.data_bits, self.id_bits = addr_bits, data_bits, id_bits

        def address(p: str) -> dict:
            return {
                f"{p}id": Out(id_bits), f"{p}addr": Out(addr_bits), f"{p}len": Out(8),
                f"{p}size": Out(3), f"{p}burst": Out(2), f"{p}cache": Out(4), f"{p}prot": Out(3),
                f"{p}valid": Out(1), f"{p}ready": In(1),
            }  # fmt: skip

        super().__init__({
            **address("aw"),
            "wdata": Out(data_bits), "wstrb": Out(data_bits // 8), "wlast": Out(1),
            "wvalid": Out(1), "wready": In(1),
            "bid": In(id_bits), "bresp": In(2), "bvalid": In(1), "bready": Out(1),
            **address("ar"),
            "rid": In(id_bits), "rdata": In(data_bits), "rresp": In(2), "rlast": In(1),
            "rvalid": In(1), "rready": Out(1),
        })  # fmt: skip


class AXI4LiteSignature(wiring.Signature):
    """AXI4-Lite control port, 32 bits of data, from the side of the master (flip it for the
    registers)."""

    def __init__(self, *, addr_bits: int):
        self.addr_bits = addr_bits
        super().__init__({
            "awaddr": Out(addr_bits), "awprot": Out(3), "awvalid": Out(1), "awready": In(1),
            "wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "wready": In(1),
            "bresp": In(2), "bvalid": In(1), "bready": Out(1),
            "araddr": Out(addr_bits), "arprot": Out(3), "arvalid": Out(1), "arready": In(1),
            "rdata": In(32), "rresp": In(2), "rvalid": In(1), "rready": Out(1),
        })  # fmt: skip


class ErrorLayout(data.StructLayout):
    """An error as a module reports it: ``code`` is 0 while there is none; held until the module is
    reset."""

    def __init__(self) -> None:
        super().__init__({"code": ErrorCodeShape, "source": 3, "addr": 64})


ErrorCodeShape = 8
assert max(ErrorCode) < 256 and max(Source) < 8


class TokenSignature(wiring.Signature):
    """A module's side of its token queues.

    ``prev_avail``/``next_avail``: a token is there. ``pop_*`` takes one, in a cycle in which it is
    available; ``push_*`` gives one; a push is never refused. A module without that neighbour
    ignores the pair.
    """

    def __init__(self) -> None:
        super().__init__({
            "prev_avail": In(1), "next_avail": In(1),
            "pop_prev": Out(1), "pop_next": Out(1), "push_prev": Out(1), "push_next": Out(1),
        })  # fmt: skip


class ReadRequest(data.StructLayout):
    """A read of ``beats`` (>= 1) bus beats from ``addr``, which is aligned to the bus. Any length:
    bursts are made later."""

    def __init__(self, addr_bits: int) -> None:
        super().__init__({"addr": addr_bits, "beats": BEATS_BITS})


class ReadPortSignature(wiring.Signature):
    """A reader's side of the memory master: requests out, beats back in the order of the requests.

    ``outstanding`` requests may be in flight. ``beat`` is an ordinary stream, the reader may stall
    it.
    """

    def __init__(self, *, addr_bits: int, data_bits: int):
        super().__init__({
            "request": Out(stream.Signature(ReadRequest(addr_bits))),
            "beat": In(stream.Signature(data_bits)),
        })  # fmt: skip


class WriteRequest(data.StructLayout):
    """A write of ``beats`` (>= 1) bus beats from ``addr`` on, which is aligned to the bus.

    ``last`` marks the last request of an instruction.
    """

    def __init__(self, addr_bits: int) -> None:
        super().__init__({"addr": addr_bits, "beats": BEATS_BITS, "last": 1})


class WritePortSignature(wiring.Signature):
    """A writer's side of the memory master: requests and, in their order, beats with byte strobes.

    ``done`` pulses when every write of a request with ``last``, and of all requests before it, has
    been answered.
    """

    def __init__(self, *, addr_bits: int, data_bits: int):
        beat = data.StructLayout({"data": data_bits, "strb": data_bits // 8})
        super().__init__({
            "request": Out(stream.Signature(WriteRequest(addr_bits))),
            "beat": Out(stream.Signature(beat)),
            "done": In(1),
        })  # fmt: skip


class SramReadSignature(wiring.Signature):
    """A synchronous read port from the user's side: ``data`` is valid in the cycle after ``en``
    and held until the next."""

    def __init__(self, *, log_depth: int, bits: int):
        super().__init__({"en": Out(1), "addr": Out(log_depth), "data": In(bits)})


class SharedReadSignature(wiring.Signature):
    """A read port of a memory that others read too, from the user's side.

    A read happens in a cycle in which ``en`` meets ``ready``, which depends on ``addr`` and on the
    others, not on ``en``. ``data`` is valid in the cycle after it, and only then.
    """

    def __init__(self, *, log_depth: int, bits: int):
        super().__init__({
            "en": Out(1), "addr": Out(log_depth), "ready": In(1), "data": In(bits),
        })  # fmt: skip


class SramWriteSignature(wiring.Signature):
    """A write port from the user's side: ``mask`` has one bit for each ``granule`` bits of
    ``data``; 0 writes nothing."""

    def __init__(self, *, log_depth: int, bits: int, granule: int):
        assert bits % granule == 0
        super().__init__({
            "addr": Out(log_depth), "data": Out(bits), "mask": Out(bits // granule),
        })  # fmt: skip


def module_status(isa: Isa) -> dict:
    """Ports that load, compute and store have alike: the instruction queue, tokens, state,
    retirement and errors."""
    return {
        "insn": In(stream.Signature(layout_of(isa.memory).size)),
        "tokens": Out(TokenSignature()),
        "state": Out(ModuleState),
        "retired": Out(1),
        "error": Out(ErrorLayout()),
    }
