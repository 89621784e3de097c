"""The load engine: a 2D transfer from DRAM into an SRAM, with zeros around it.

One element, or one beat of an element that is wider than the bus, is written a cycle; so is one element of padding. The
engine is used by the load module (INP, WGT) and by the compute module (UOP, ACC, ACC_8BIT).
"""

from collections.abc import Sequence

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import ErrorLayout, ReadPortSignature, SramWriteSignature, layout_of
from vta.hw.walker import MemoryKind
from vta.isa import Format
from vta.memmap import Source


class LoadEngine(wiring.Component):
    """Executes LOAD instructions one after the other, in the order of the requests.

    Parameters
    ----------
    insn : Format
        The layout of a LOAD (``Isa.memory``).
    kinds : sequence of MemoryKind
        The memories that requests may name. Those with the same ``sram`` share a write port.
    addr_bits, data_bits : int
        Of the bus.
    source : Source
        Who reports the errors.

    Attributes
    ----------
    request : stream of the LOAD layout, in
        Legal instructions (``Isa.why_illegal``) for the memories of ``kinds``. Further requests are accepted while the
        ones before are under way, so their reads overlap; NOPs (``x_size = 0``) write nothing. The opcode and token
        flags are ignored.
    done : out
        One pulse for each request, in their order. It comes in the cycle of the last write: a read that is issued in the
        next cycle sees all of the elements.
    busy : out
        From the cycle after a request is accepted to the cycle of its ``done``.
    read : ReadPortSignature, out
        The bus.
    write_<sram> : SramWriteSignature, out
        One for each SRAM, ``granule`` = the smaller of a beat and an element of the SRAM. Writes are never refused.
    loaded_<sram> : out
        One pulse for each element that came from DRAM (padding does not count), for the byte counters.
    error : ErrorLayout, out
        ADDRESS (``addr``: the byte address of the row) or SRAM_RANGE (``addr``: the index). The engine stops for good; it
        must be reset.
    """

    def __init__(
        self, insn: Format, kinds: Sequence[MemoryKind], *, addr_bits: int, data_bits: int, source: Source
    ) -> None:  # fmt: skip
        self.insn, self.kinds = insn, tuple(kinds)
        self.addr_bits, self.data_bits, self.source = addr_bits, data_bits, source
        self.srams = {kind.sram: kind for kind in self.kinds}
        """One kind for each SRAM (those that share it agree on depth and width)."""
        members = {
            "request": In(stream.Signature(layout_of(insn))),
            "done": Out(1),
            "busy": Out(1),
            "read": Out(ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "error": Out(ErrorLayout()),
        }
        for name, kind in self.srams.items():
            members[f"write_{name}"] = Out(
                SramWriteSignature(
                    log_depth=kind.log_depth,
                    bits=kind.sram_bits,
                    granule=min(data_bits, kind.sram_bits),
                )
            )
            members[f"loaded_{name}"] = Out(1)
        super().__init__(members)
