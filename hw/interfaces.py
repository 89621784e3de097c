"""The interfaces between the blocks.

Every block is a ``wiring.Component``; streams are ``amaranth.lib.stream``. Instruction and
micro-op layouts are generated from the tables of :mod:`vta.isa`, which the encoder uses too.
"""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.config import VTAConfig
from vta.isa import Format, Isa
from vta.memmap import ErrorCode, ModuleState, Source

ID_BITS = 4
"""Width of the AXI IDs."""

BEATS_BITS = 26
"""Width of the number of beats of a request: the largest SRAM of any configuration (2^28 bytes) in
the narrowest beats (8 bytes), and more, because lengths saturate only at 2^17 elements."""


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


class AXISignature(wiring.Signature):
    """AXI memory port, from the side of the master. Member names are those of the standard, in
    lower case.

    Parameters
    ----------
    addr_bits, data_bits, id_bits : int
        Widths.
    version : int
        4, or 3: then AxLEN has four bits, AxLOCK two, and the port has WID.
    full : bool
        With AxLOCK and AxQOS, as the ports of processors have them; the core does not drive these.

    Raises
    ------
    ValueError
        If the version is neither 3 nor 4.
    """

    def __init__(
        self, *, addr_bits: int, data_bits: int, id_bits: int = ID_BITS, version: int = 4,
        full: bool = False,
    ):  # fmt: skip
        if version not in (3, 4):
            raise ValueError(f"the version of AXI is {version}; must be 3 or 4")
        self.addr_bits, self.data_bits, self.id_bits = addr_bits, data_bits, id_bits
        self.version, self.full = version, full
        axi3 = version == 3

        def address(p: str) -> dict:
            return {
                f"{p}id": Out(id_bits), f"{p}addr": Out(addr_bits),
                f"{p}len": Out(4 if axi3 else 8), f"{p}size": Out(3), f"{p}burst": Out(2),
                **({f"{p}lock": Out(2 if axi3 else 1)} if full else {}),
                f"{p}cache": Out(4), f"{p}prot": Out(3),
                **({f"{p}qos": Out(4)} if full else {}),
                f"{p}valid": Out(1), f"{p}ready": In(1),
            }  # fmt: skip

        super().__init__({
            **address("aw"),
            **({"wid": Out(id_bits)} if axi3 else {}),
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


ERROR_ADDR_BITS = 64
"""Width of the address or index of an error."""


def error_addr_bits(cfg: VTAConfig) -> int:
    """Width of the address of an error in this machine: 0 if it is not reported."""
    return ERROR_ADDR_BITS if cfg.error_detail else 0


class ErrorLayout(data.StructLayout):
    """An error of a block. Without one ``code`` is 0 (``ErrorCode.NONE``) and the other fields
    mean nothing; with one, all are held until the block is reset. Without an address
    (``addr_bits`` 0) an assignment to ``addr`` has no effect."""

    def __init__(self, addr_bits: int = ERROR_ADDR_BITS) -> None:
        super().__init__({"code": ErrorCodeShape, "source": 3, "addr": addr_bits})


ErrorCodeShape = 8
assert max(ErrorCode) < 256 and max(Source) < 8


class TokenSignature(wiring.Signature):
    """The token queues of a module, from the side of the module.

    ``prev_avail``, ``next_avail``: asserted while the queue from that neighbour holds a token.
    ``pop_*``: strobe, removes a token; only while it is available. ``push_*``: strobe, adds a token
    to the queue to that neighbour; never stalls. A module without a neighbour ignores its signals.
    """

    def __init__(self) -> None:
        super().__init__({
            "prev_avail": In(1), "next_avail": In(1),
            "pop_prev": Out(1), "pop_next": Out(1), "push_prev": Out(1), "push_next": Out(1),
        })  # fmt: skip


class ReadRequest(data.StructLayout):
    """A read of ``beats`` (>= 1) bus beats from ``addr``, which is aligned to the bus.

    Any length: the read master splits requests into bursts.
    """

    def __init__(self, addr_bits: int) -> None:
        super().__init__({"addr": addr_bits, "beats": BEATS_BITS})


class ReadPortSignature(wiring.Signature):
    """A port of the read master, from the side of the reader.

    ``request``: any number may be outstanding. ``beat``: the data in the order of the requests; the
    reader may stall it.
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
    """The port of the write master, from the side of the writer.

    ``request``, and ``beat``: data with byte strobes in the order of the requests. ``done``:
    strobe, once for each request with ``last``, when the responses to all of its bursts, and to all
    bursts before, have arrived.
    """

    def __init__(self, *, addr_bits: int, data_bits: int):
        beat = data.StructLayout({"data": data_bits, "strb": data_bits // 8})
        super().__init__({
            "request": Out(stream.Signature(WriteRequest(addr_bits))),
            "beat": Out(stream.Signature(beat)),
            "done": In(1),
        })  # fmt: skip


class SramReadSignature(wiring.Signature):
    """A synchronous read port, from the side of the reader: ``data`` is valid in the cycle after
    ``en`` and held until the next ``en``."""

    def __init__(self, *, log_depth: int, bits: int):
        super().__init__({"en": Out(1), "addr": Out(log_depth), "data": In(bits)})


class TileReadSignature(wiring.Signature):
    """A read port that lets its reader wait, from the side of the reader.

    ``en`` and ``addr`` are held until ``ready``. With ``take`` in the cycle of ``ready``, ``data``
    is the tile from the next cycle on, until the next tile is taken. A tile that is not taken is
    asked for again.
    """

    LATENCY = 3
    """Cycles from ``en`` to ``ready``, without a wait."""

    def __init__(self, *, log_depth: int, bits: int):
        super().__init__({
            "en": Out(1), "addr": Out(log_depth), "take": Out(1),
            "ready": In(1), "data": In(bits),
        })  # fmt: skip


class SharedReadSignature(wiring.Signature):
    """A read port that several readers share, from the side of one reader.

    A read is performed in a cycle with ``en`` and ``ready``. ``ready`` depends on ``addr`` and on
    the other readers, not on ``en``. ``data`` is valid only in the cycle after the read.
    """

    def __init__(self, *, log_depth: int, bits: int):
        super().__init__({
            "en": Out(1), "addr": Out(log_depth), "ready": In(1), "data": In(bits),
        })  # fmt: skip


class SramWriteSignature(wiring.Signature):
    """A write port, from the side of the writer: ``mask`` has one bit for each ``granule`` bits of
    ``data``; 0 writes nothing."""

    def __init__(self, *, log_depth: int, bits: int, granule: int):
        assert bits % granule == 0
        super().__init__({
            "addr": Out(log_depth), "data": Out(bits), "mask": Out(bits // granule),
        })  # fmt: skip


def module_status(isa: Isa) -> dict:
    """The ports that load, compute and store have in common.

    ``insn``: the instruction queue. ``tokens``: the token queues. ``state``: RUNNING while
    instructions are in flight or issue, WAITING while the next one stalls on a token, else IDLE.
    ``retired``: strobe, an instruction retires. ``error``: the first error.
    """
    return {
        "insn": In(stream.Signature(layout_of(isa.memory).size)),
        "tokens": Out(TokenSignature()),
        "state": Out(ModuleState),
        "retired": Out(1),
        "error": Out(ErrorLayout(error_addr_bits(isa.cfg))),
    }
