"""The AXI ports of a processor beside the FPGA's logic."""

from dataclasses import dataclass

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AXIPort", "AXISignature"]


@dataclass(frozen=True)
class AXIPort:
    """What a port of a processor is like.

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
        """Most beats of a burst."""
        return 16 if self.version == 3 else 256


class AXISignature(wiring.Signature):
    """All five channels of such a port, from the side of the master. Member names are the
    standard's, in lower case."""

    def __init__(self, port: AXIPort) -> None:
        self.port = port
        len_bits = (port.burst_beats - 1).bit_length()
        lock_bits = 2 if port.version == 3 else 1

        def address(p: str) -> dict:
            return {
                f"{p}id": Out(port.id_bits), f"{p}addr": Out(port.addr_bits),
                f"{p}len": Out(len_bits), f"{p}size": Out(3), f"{p}burst": Out(2),
                f"{p}lock": Out(lock_bits), f"{p}cache": Out(4), f"{p}prot": Out(3),
                f"{p}qos": Out(4), f"{p}valid": Out(1), f"{p}ready": In(1),
            }  # fmt: skip

        super().__init__({
            **address("aw"),
            **({"wid": Out(port.id_bits)} if port.version == 3 else {}),
            "wdata": Out(port.data_bits), "wstrb": Out(port.data_bits // 8), "wlast": Out(1),
            "wvalid": Out(1), "wready": In(1),
            "bid": In(port.id_bits), "bresp": In(2), "bvalid": In(1), "bready": Out(1),
            **address("ar"),
            "rid": In(port.id_bits), "rdata": In(port.data_bits), "rresp": In(2), "rlast": In(1),
            "rvalid": In(1), "rready": Out(1),
        })  # fmt: skip
