"""What packets on RQ and RC must be: made from the tables of PG213, bit by bit, without the layouts
of the design.

A beat is (data, keep, last, user), as on the pins. Sequence numbers: reads 0, writes 1.
"""

import itertools
import random
from dataclasses import dataclass, field

__all__ = [
    "HOLE", "Answer", "Completion", "answer", "completion_beats", "failures", "junk", "masked",
    "read_packet", "write_packet",
]  # fmt: skip

OKAY, SLVERR, DECERR = 0, 2, 3
SC, UR, CRS, CA = 0b000, 0b001, 0b010, 0b100
NONE, POISONED, BAD_STATUS, BAD_LENGTH, MISMATCH, BAD_ADDRESS, BAD_TAG, FLR, TIMEOUT = (
    0, 1, 2, 3, 4, 5, 6, 8, 9,
)  # fmt: skip
HOLE = "hole"

Beat = tuple[int, int, int, int]


def _request(addr: int, dwords: int, kind: int, tag: int) -> int:
    """Descriptor on RQ: address [63:2], dwords [74:64], type [78:75], tag [103:96]."""
    assert addr % 4 == 0
    return addr | dwords << 64 | kind << 75 | tag << 96


def read_packet(addr: int, nbytes: int, tag: int) -> list[Beat]:
    """The request of whole beats."""
    return [(_request(addr, nbytes // 4, 0b0000, tag), 0b1111, 1, 0xFF)]


def write_packet(addr: int, content: bytes, strobes: int) -> list[Beat] | str | None:
    """The packet of a burst; None if no byte is enabled, ``HOLE`` if no packet can write it."""
    enabled = [byte for byte in range(len(content)) if strobes >> byte & 1]
    if not enabled:
        return None
    first, last = enabled[0], enabled[-1]
    if len(enabled) != last - first + 1:
        return HOLE
    begin, end = first // 4 * 4, last // 4 * 4 + 4
    dwords = [content[at : at + 4] for at in range(begin, end, 4)]
    byte_enables = [strobes >> at & 0xF for at in range(begin, end, 4)]
    last_be = byte_enables[-1] if len(dwords) > 1 else 0
    user = byte_enables[0] | last_be << 4 | 1 << 24
    beats = [(_request(addr + begin, len(dwords), 0b0001, 0), 0b1111, 0, user)]
    for at in range(0, len(dwords), 4):
        part = dwords[at : at + 4]
        data = int.from_bytes(b"".join(part), "little")
        beats.append((data, (1 << len(part)) - 1, int(at + 4 >= len(dwords)), user))
    return beats


def masked(beats: list[Beat]) -> list[Beat]:
    """Beats with only what has a meaning: dwords by ``keep``, the sideband of the first beat."""
    user = beats[0][3]
    return [
        (data & sum(0xFFFF_FFFF << 32 * n for n in range(4) if keep >> n & 1), keep, last, user)
        for data, keep, last, _ in beats
    ]


@dataclass
class Completion:
    """A packet on RC. ``dwords``: as in the descriptor, that of the payload unless given. ``cut``:
    beats that are missing at its end."""

    tag: int
    payload: bytes = b""
    completed: bool = False
    error: int = NONE
    status: int = SC
    poisoned: bool = False
    discontinue: bool = False
    dwords: int | None = None
    lower_address: int = 0
    left: int = 0
    cut: int = 0


def completion_beats(packet: Completion, rng: random.Random) -> list[Beat]:
    """The beats on the pins. Bits without a meaning are random."""
    dwords = len(packet.payload) // 4 if packet.dwords is None else packet.dwords
    if packet.error in (TIMEOUT, FLR):  # it stands for no packet: only the tag has a meaning
        descriptor = rng.getrandbits(64) & ~(0xF << 12) | packet.error << 12 | packet.tag << 64
    else:
        descriptor = (
            packet.lower_address | packet.error << 12 | packet.left << 16
            | packet.completed << 30 | dwords << 32 | packet.status << 43
            | packet.poisoned << 46 | packet.tag << 64
        )  # fmt: skip
    descriptor |= rng.getrandbits(16) << 72 | rng.getrandbits(16) << 48
    content = descriptor.to_bytes(12, "little") + packet.payload
    beats: list[Beat] = []
    for at in range(0, len(content), 16):
        part = content[at : at + 16]
        keep, last = (1 << len(part) // 4) - 1, int(at + 16 >= len(content))
        data = int.from_bytes(part + rng.randbytes(16 - len(part)), "little")
        user = rng.getrandbits(75) & ~(1 << 42)
        beats.append((data, keep, last, user))
    beats = beats[: len(beats) - packet.cut]
    data, keep, _, user = beats[-1]
    beats[-1] = (data, keep, 1, user | packet.discontinue << 42)
    return beats


@dataclass
class Answer:
    """Completions of a request, in their order, and what the core is to get: ``content`` only if
    ``resp`` is OKAY."""

    completions: list[Completion]
    resp: int
    content: bytes = b""
    name: str = field(default="success")


def answer(tag: int, addr: int, content: bytes, rng: random.Random) -> Answer:
    """A request's data, split at some of the multiples of 64 bytes, or of 16."""
    unit = rng.choice([16, 64, 64, 128])
    cuts = [
        at for at in range(addr // unit * unit + unit, addr + len(content), unit)
        if rng.random() < 0.7
    ]  # fmt: skip
    edges = [0, *(cut - addr for cut in cuts), len(content)]
    parts = [
        Completion(
            tag, content[begin:end], end == len(content), lower_address=addr + begin & 0xFFF,
            left=len(content) - begin,
        )
        for begin, end in itertools.pairwise(edges)
    ]  # fmt: skip
    return Answer(parts, OKAY, content)


def failures(tag: int, addr: int, content: bytes, rng: random.Random) -> list[Answer]:
    """A request that goes wrong, in all ways."""

    def good() -> list[Completion]:
        return answer(tag, addr, content, rng).completions

    def one(name: str, resp: int, **fields) -> Answer:
        """Some data may come before."""
        before = good()[:-1] if rng.random() < 0.5 else []
        return Answer([*before, Completion(tag, **fields)], resp, name=name)

    def changed(name: str, **fields) -> Answer:
        """One of the completions, whichever."""
        packets = good()
        victim = rng.choice(packets)
        for key, value in fields.items():
            setattr(victim, key, value)
        return Answer(packets, SLVERR, name=name)

    def ending(name: str, packets: list[Completion]) -> Answer:
        return Answer(packets, SLVERR, name=name)

    whole = [Completion(tag, content, True, lower_address=addr & 0xFFF, left=len(content))]
    return [
        one("unsupported request", DECERR, error=BAD_STATUS, status=UR, completed=True),
        one("unsupported request, no error code", DECERR, status=UR, completed=True),
        one("completer abort", SLVERR, error=BAD_STATUS, status=CA, completed=True),
        one("completer abort, no error code", SLVERR, status=CA, completed=True),
        one("configuration retry", SLVERR, error=BAD_STATUS, status=CRS, completed=True),
        one("completer abort, not said to be the last", SLVERR, error=BAD_STATUS, status=CA),
        one("bad length", SLVERR, error=BAD_LENGTH, completed=True),
        one("bad length, not said to be the last", SLVERR, error=BAD_LENGTH),
        one("timeout", SLVERR, error=TIMEOUT),
        one("function-level reset", SLVERR, error=FLR),
        changed("poisoned", error=POISONED, poisoned=True),
        changed("poisoned, no error code", poisoned=True),
        changed("mismatch", error=MISMATCH),
        changed("bad address", error=BAD_ADDRESS),
        changed("discontinued", discontinue=True),
        changed("cut short", discontinue=True, cut=1),
        changed("cut short without a word", cut=1),
        ending("not whole beats", [
            Completion(tag, content[: rng.choice([4, 8, 12])], lower_address=addr & 0xFFF),
            *whole,
        ]),
        ending("not whole beats at the end", [
            Completion(tag, content[:-4], True, lower_address=addr & 0xFFF)
        ]),
        ending("more than was requested", [
            Completion(tag, content + rng.randbytes(16 * rng.randint(1, 8)), True)
        ]),
        ending("more than is left", [
            Completion(tag, content), Completion(tag, rng.randbytes(16), True),
        ]),
        ending("completer abort, with all data", [Completion(tag, content, True, status=CA)]),
        ending("sixteen words more, and the end", [
            Completion(tag, content), Completion(tag, rng.randbytes(128)),
            Completion(tag, rng.randbytes(128), True),
        ]),
        ending("the end before all is there", [
            Completion(tag, content[: rng.randrange(len(content) // 16) * 16], True)
        ]),
        ending("nothing, and the end", [Completion(tag, b"", True)]),
        ending("more beats than said", [Completion(tag, content + rng.randbytes(16), True,
                                                   dwords=len(content) // 4)]),
    ]  # fmt: skip


def junk(free: list[int], busy: list[int], rng: random.Random) -> Completion:
    """A completion that belongs to no request: of a free tag, of a tag that is never used, or of a
    tag in flight with the hard block's word that it is none."""
    content = rng.randbytes(rng.choice([0, 16, 16, 64, 128]))
    done = rng.random() < 0.5
    kind = rng.randrange(3)
    if kind == 0 and free:
        error = rng.choice([NONE, BAD_TAG, MISMATCH, TIMEOUT, BAD_STATUS])
        return Completion(rng.choice(free), b"" if error == TIMEOUT else content, done, error)
    if kind == 1 and busy:
        return Completion(rng.choice(busy), content, done, BAD_TAG)
    return Completion(rng.randrange(32, 256), content, done)
