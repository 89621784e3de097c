"""The four packet streams of the PCIe hard block of UltraScale+ parts, 128 bits wide.

A packet is a descriptor and its payload, without gaps ("dword-aligned"). The hard block makes the
headers of PCIe packets (TLPs) of the descriptors, and the reverse.

- CQ, completer request, from the host: reads and writes of the registers.
- CC, completer completion, to the host: the answers to its reads.
- RQ, requester request, to the host: reads and writes of the PC's memory.
- RC, requester completion, from the host: the data of those reads.

Source: PG213, UltraScale+ Devices Integrated Block for PCI Express, chapters on the four
interfaces (descriptors, sideband signals of the 64, 128 and 256 bit interfaces).
"""

from amaranth.lib import data, enum

__all__ = [
    "CC", "CC_USER", "CQ", "CQ_USER", "DATA_BITS", "DWORDS", "RC", "RC_USER", "RQ", "RQ_USER",
    "CompletionDescriptor", "ErrorCode", "Packet", "ReadDescriptor", "RegisterDescriptor",
    "RequestDescriptor", "RequestType", "Status",
]  # fmt: skip

DATA_BITS = 128
DWORDS = DATA_BITS // 32
"""PCIe counts in dwords of 32 bits."""


class Packet(data.StructLayout):
    """A beat of a packet.

    ``keep`` has a bit for each dword; dwords are filled from 0 on. ``last`` marks the last beat.
    ``user`` is the sideband, of the packet's first beat unless its layout says otherwise.
    """

    def __init__(self, user: data.Layout) -> None:
        super().__init__({"data": DATA_BITS, "keep": DWORDS, "last": 1, "user": user})


def _flexible(size: int, **fields: tuple[int, int]) -> data.FlexibleLayout:
    """A layout of named fields, each ``(lowest bit, bits)``; bits without a name are reserved."""
    return data.FlexibleLayout(
        size, {name: data.Field(bits, low) for name, (low, bits) in fields.items()}
    )


RQ_USER = _flexible(
    62, first_be=(0, 4), last_be=(4, 4), discontinue=(11, 1), seq_low=(24, 4), seq_high=(60, 2)
)
"""``first_be``, ``last_be``: byte enables of the first and last dword; ``last_be`` is 0 for a
packet of one. ``seq_low``, ``seq_high``: the number that the hard block gives back on
``pcie_rq_seq_num0`` when no completion on CC can pass the request any more."""
CQ_USER = _flexible(88, first_be=(0, 4), last_be=(4, 4), discontinue=(41, 1))
"""``discontinue`` is asserted in the last beat of a packet that is damaged."""
RC_USER = _flexible(75, discontinue=(42, 1))
CC_USER = _flexible(33, discontinue=(0, 1))

RQ, CQ, RC, CC = (Packet(user) for user in (RQ_USER, CQ_USER, RC_USER, CC_USER))


class RequestType(enum.Enum, shape=4):
    """The types of requests that are told apart here. Those above ``CONFIGURATION_LAST`` are
    messages."""

    MEM_READ = 0b0000
    MEM_WRITE = 0b0001
    IO_READ = 0b0010
    IO_WRITE = 0b0011
    MEM_READ_LOCKED = 0b0111
    CONFIGURATION_LAST = 0b1011


class Status(enum.Enum, shape=3):
    """The status of a completion, as the standard encodes it."""

    SUCCESS = 0b000
    UNSUPPORTED_REQUEST = 0b001
    CONFIGURATION_RETRY = 0b010
    COMPLETER_ABORT = 0b100


class ErrorCode(enum.Enum, shape=4):
    """What the hard block says of a completion on RC."""

    NONE = 0b0000
    POISONED = 0b0001
    BAD_STATUS = 0b0010
    BAD_LENGTH = 0b0011
    MISMATCH = 0b0100
    BAD_ADDRESS = 0b0101
    BAD_TAG = 0b0110
    FUNCTION_LEVEL_RESET = 0b1000
    TIMEOUT = 0b1001


RequestDescriptor = _flexible(
    128, address=(2, 62), dwords=(64, 11), type=(75, 4), poisoned=(79, 1), requester=(80, 16),
    tag=(96, 8), traffic_class=(121, 3), attributes=(124, 3),
)  # fmt: skip
"""On RQ. ``address`` is that of the first dword, in dwords."""

RegisterDescriptor = _flexible(
    128, address_type=(0, 2), address=(2, 62), dwords=(64, 11), type=(75, 4), requester=(80, 16),
    tag=(96, 8), function=(104, 8), bar=(112, 3), aperture=(115, 6), traffic_class=(121, 3),
    attributes=(124, 3),
)  # fmt: skip
"""On CQ. ``aperture`` is the number of address bits of the BAR that was hit."""

ReadDescriptor = _flexible(
    96, lower_address=(0, 12), error=(12, 4), bytes=(16, 13), locked=(29, 1), completed=(30, 1),
    dwords=(32, 11), status=(43, 3), poisoned=(46, 1), requester=(48, 16), tag=(64, 8),
    completer=(72, 16), traffic_class=(89, 3), attributes=(92, 3),
)  # fmt: skip
"""On RC. ``bytes``: what is left of the request, this completion included. ``completed``: no other
completion of this request follows. With the error ``TIMEOUT`` only ``tag`` has a meaning."""

CompletionDescriptor = _flexible(
    96, lower_address=(0, 7), address_type=(8, 2), bytes=(16, 13), locked=(29, 1), dwords=(32, 11),
    status=(43, 3), poisoned=(46, 1), requester=(48, 16), tag=(64, 8), completer=(72, 16),
    completer_enable=(88, 1), traffic_class=(89, 3), attributes=(92, 3),
)  # fmt: skip
"""On CC. The completer ID is the card's own, from the hard block, unless ``completer_enable``."""
