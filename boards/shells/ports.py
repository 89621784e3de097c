"""The AXI ports of a processor, on the side of the FPGA's logic."""

from dataclasses import dataclass

from vta.config import AXI3_BURST_BEATS
from vta.hw.interfaces import AXISignature

__all__ = ["AXIPort"]


@dataclass(frozen=True)
class AXIPort:
    """The properties of a port of a processor.

    Attributes
    ----------
    version : int
        3 or 4. AXI3 has bursts of at most 16 beats, two bits of AxLOCK, and WID.
    addr_bits, data_bits, id_bits : int
        Widths.

    Raises
    ------
    ValueError
        If the version is neither.
    """

    version: int
    addr_bits: int
    data_bits: int
    id_bits: int

    def __post_init__(self) -> None:
        if self.version not in (3, 4):
            raise ValueError(f"the version of AXI is {self.version}; must be 3 or 4")

    @property
    def burst_beats(self) -> int:
        """Largest number of beats of a burst that the version allows."""
        return AXI3_BURST_BEATS if self.version == 3 else 256

    @property
    def signature(self) -> AXISignature:
        """All five channels of the port, from the side of the master."""
        return AXISignature(
            addr_bits=self.addr_bits,
            data_bits=self.data_bits,
            id_bits=self.id_bits,
            version=self.version,
            full=True,
        )
