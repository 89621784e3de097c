"""How fast the cells of each family are: picoseconds from a pin to a pin, in the slowest corner.

The figures are facts out of the cell models that Yosys ships (``specify`` blocks, themselves taken
from the vendors' timing data: 7-series -1, Cyclone V -7, ECP5) and, for the block RAM and the
multiplier of the ECP5, which have none there, out of the reports of nextpnr for speed grade 6.
Wires are not in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

from vta.boards.synthesis.parts import CYCLONE_V, ECP5, SEVEN

__all__ = ["DELAYS", "CellDelays", "FamilyDelays"]

Arcs = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class CellDelays:
    """The delays of one cell, in picoseconds; buses go by their name without an index.

    Attributes
    ----------
    through : mapping of str to mapping of str to int
        Input to output to delay, for what has no clock in between.
    setup : mapping of str to int
        Input to the time before the clock at which it must be there.
    clocked : mapping of str to int
        Output to the time after the clock at which it is there.
    """

    through: Arcs = field(default_factory=dict)
    setup: Mapping[str, int] = field(default_factory=dict)
    clocked: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FamilyDelays:
    """All cells of a family.

    Attributes
    ----------
    cells : mapping of str to CellDelays
    registers : mapping of str to tuple of str
        Cells whose delays depend on parameters that are not 0: their entries in ``cells`` are
        called ``CELL+PARAMETER+...``, with those of these that are set, in this order.
    wire : int
        What a wire between two cells is taken for in an estimate; carry chains have none.
    carry : tuple of str
        Outputs that are wired to the next cell of a carry chain, or of a wide multiplexer.
    """

    cells: Mapping[str, CellDelays]
    wire: int
    carry: tuple[str, ...]
    registers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _each(inputs: str, outputs: str, delay: int) -> Arcs:
    """The same delay from every input to every output."""
    return {pin: dict.fromkeys(outputs.split(), delay) for pin in inputs.split()}


def _pins(output: str, **delays: int) -> Arcs:
    """One output, a delay for each input."""
    return {pin: {output: delay} for pin, delay in delays.items()}


def _register(data: str, output: str, clocked: int, **setup: int) -> CellDelays:
    return CellDelays(setup=dict.fromkeys(data.split(), 0) | setup, clocked={output: clocked})


_SEVEN_LUT = (127, 238, 407, 472, 631, 642)
"""From the last input of a LUT to the first one."""


def _seven_lut(inputs: int) -> CellDelays:
    delays = {f"I{inputs - 1 - n}": delay for n, delay in enumerate(_SEVEN_LUT[:inputs])}
    return CellDelays(_pins("O", **delays))


def _seven_ram(writes: str, reads: str, outputs: str, *, address: str = "") -> CellDelays:
    """Distributed RAM: read like a LUT; an address that writes has a setup time too."""
    return CellDelays(
        _each(reads, outputs, 642),
        {**dict.fromkeys(writes.split(), 460), **dict.fromkeys(address.split(), 362), "WE": 654},
        dict.fromkeys(outputs.split(), 1190),
    )


_SEVEN_DSP_IN = dict.fromkeys(
    ("RSTA", "RSTB", "RSTC", "RSTM", "RSTP", "CEA2", "CEB2", "CEC", "CEM", "CEP"), 400
)
_SEVEN_DSP_REGISTERS = ("PREG", "CREG", "MREG", "AREG", "BREG")


def _seven_dsp(used: tuple[str, ...]) -> CellDelays:
    """A multiplier with these of its registers: an input ends in its own one, or else in the next
    one on its way; the output comes from the last one."""
    through: dict[str, dict[str, int]] = {}
    setup: dict[str, int] = dict(_SEVEN_DSP_IN) if used else {}
    for pin, to_input, to_product, to_output, comb in (
        ("A", 254, 1416, 2739, 2823), ("B", 324, 1285, 2608, 2690),
    ):  # fmt: skip
        if f"{pin}REG" in used:
            setup[pin] = to_input
        elif "MREG" in used:
            setup[pin] = to_product
        elif "PREG" in used:
            setup[pin] = to_output
        else:
            through[pin] = {"P": comb}
    if "CREG" in used:
        setup["C"] = 168
    elif "PREG" in used:
        setup["C"] = 1244
    else:
        through["C"] = {"P": 1325}
    from_registers = {"PREG": 329, "CREG": 1687, "MREG": 1671, "AREG": 2952, "BREG": 2813}
    last = [from_registers[name] for name in _SEVEN_DSP_REGISTERS if name in used][:1]
    return CellDelays(through, setup, {"P": last[0]} if last else {})


_SEVEN = FamilyDelays(
    cells={
        **{f"LUT{n}": _seven_lut(n) for n in range(1, 7)},
        "INV": CellDelays(_pins("O", I=127)),
        "MUXF7": CellDelays(_pins("O", I0=217, I1=223, S=296)),
        "MUXF8": CellDelays(_pins("O", I0=104, I1=94, S=273)),
        "CARRY4": CellDelays({
            "CI": {"O": 334, "CO": 114},
            "CYINIT": {"O": 642, "CO": 580},
            "DI": {"O": 615, "CO": 526},
            "S": {"O": 618, "CO": 533},
        }),
        **{
            name: _register("D", "Q", 303, CE=109, R=404, S=404, CLR=404, PRE=404)
            for name in ("FDRE", "FDSE", "FDCE", "FDPE")
        },
        "SRL16E": CellDelays(_each("A0 A1 A2 A3", "Q", 631), {"D": 173, "CE": 109}, {"Q": 1472}),
        "SRLC32E": CellDelays(_each("A", "Q Q31", 642), {"D": 173, "CE": 109}, {"Q": 1472}),
        "RAM32M": _seven_ram("DIA DIB DIC DID", "ADDRA ADDRB ADDRC ADDRD", "DOA DOB DOC DOD",
                             address="ADDRD"),
        "RAM64M": _seven_ram("DIA DIB DIC DID", "ADDRA ADDRB ADDRC ADDRD", "DOA DOB DOC DOD",
                             address="ADDRD"),
        "RAM32X1D": _seven_ram("D", "A0 A1 A2 A3 A4 DPRA0 DPRA1 DPRA2 DPRA3 DPRA4", "SPO DPO",
                               address="A0 A1 A2 A3 A4"),
        "RAM64X1D": _seven_ram("D", "A0 A1 A2 A3 A4 A5 DPRA0 DPRA1 DPRA2 DPRA3 DPRA4 DPRA5",
                               "SPO DPO", address="A0 A1 A2 A3 A4 A5"),
        **{
            name: CellDelays(
                {},
                {
                    "ADDRARDADDR": 566, "ADDRBWRADDR": 566, "WEA": 532, "WEBWE": 532,
                    "DIADI": 737, "DIBDI": 737, "DIPADIP": 737, "DIPBDIP": 737,
                    "ENARDEN": 443, "ENBWREN": 443,
                },
                dict.fromkeys(("DOADO", "DOBDO", "DOPADOP", "DOPBDOP"), 2454),
            )
            for name in ("RAMB36E1", "RAMB18E1")
        },
        **{
            "+".join(("DSP48E1", *used)): _seven_dsp(used)
            for count in range(len(_SEVEN_DSP_REGISTERS) + 1)
            for used in combinations(_SEVEN_DSP_REGISTERS, count)
        },
    },
    wire=600,
    carry=("CO",),
    registers={"DSP48E1": _SEVEN_DSP_REGISTERS},
)  # fmt: skip


def _alut(*delays: int) -> CellDelays:
    return CellDelays(_pins("Q", **dict(zip("ABCDEF", delays))))


def _mistral_product(a: int, b: int) -> CellDelays:
    return CellDelays(_pins("Y", A=a, B=b))


_CYCLONE_V = FamilyDelays(
    cells={
        "MISTRAL_ALUT6": _alut(605, 583, 510, 512, 400, 97),
        "MISTRAL_ALUT5": _alut(583, 510, 512, 400, 97),
        "MISTRAL_ALUT4": _alut(510, 512, 400, 97),
        "MISTRAL_ALUT3": _alut(510, 400, 97),
        "MISTRAL_ALUT2": _alut(400, 97),
        "MISTRAL_NOT": _alut(97),
        "MISTRAL_BUF": _alut(0),
        "MISTRAL_ALUT_ARITH": CellDelays({
            "A": {"SO": 1342, "CO": 1082},
            "B": {"SO": 1323, "CO": 1062},
            "C": {"SO": 927, "CO": 813},
            "D0": {"SO": 887, "CO": 866},
            "D1": {"SO": 785, "CO": 1198},
            "CI": {"SO": 368, "CO": 36},
        }),
        "MISTRAL_FF": _register("DATAIN ENA SCLR SLOAD SDATA ACLR", "Q", 731),
        "MISTRAL_MLAB": CellDelays(
            _each("B1ADDR", "B1DATA", 487), {"A1ADDR": 86, "A1DATA": 86, "A1EN": 86}
        ),
        "MISTRAL_M10K": CellDelays(
            {}, {"A1ADDR": 125, "A1DATA": 97, "A1EN": 140, "B1ADDR": 125, "B1EN": 161},
            {"B1DATA": 1004},
        ),
        "MISTRAL_MUL27X27": _mistral_product(3732, 3928),
        "MISTRAL_MUL18X18": _mistral_product(3180, 3982),
        "MISTRAL_MUL9X9": _mistral_product(2818, 3051),
    },
    wire=700,
    carry=("CO",),
)  # fmt: skip

_ECP5 = FamilyDelays(
    cells={
        "LUT4": CellDelays(_pins("Z", A=141, B=275, C=379, D=379)),
        "PFUMX": CellDelays(_pins("Z", ALUT=98, BLUT=98, C0=151)),
        "L6MUX21": CellDelays(_pins("Z", D0=140, D1=141, SD=148)),
        "CCU2C": CellDelays({
            "A0": {"S0": 379, "S1": 630, "COUT": 516},
            "B0": {"S0": 379, "S1": 630, "COUT": 516},
            "C0": {"S0": 275, "S1": 526, "COUT": 412},
            "D0": {"S0": 141, "S1": 392, "COUT": 278},
            "A1": {"S1": 379, "COUT": 516},
            "B1": {"S1": 379, "COUT": 516},
            "C1": {"S1": 275, "COUT": 412},
            "D1": {"S1": 141, "COUT": 278},
            "CIN": {"S0": 257, "S1": 273, "COUT": 43},
        }),
        "TRELLIS_FF": _register("DI M CE LSR", "Q", 525),
        "TRELLIS_DPR16X4": CellDelays(
            _each("RAD", "DO", 379), {"DI": 0, "WAD": 0, "WRE": 0}, {"DO": 525}
        ),
        "DP16KD": CellDelays(
            {},
            {f"{pin}{side}": 0 for side in "AB" for pin in ("WE", "CE", "OCE", "RST", "CS")}
            | {f"{pin}{side}{n}": 0 for side in "AB" for pin, bits in (("AD", 14), ("DI", 18))
               for n in range(bits)},
            {f"DO{side}{n}": 5600 for side in "AB" for n in range(18)},
        ),
        "MULT18X18D": CellDelays({
            f"{side}{n}": {f"P{p}": 3900 for p in range(36)} for side in "AB" for n in range(18)
        }),
    },
    wire=800,
    carry=("COUT",),
)  # fmt: skip

DELAYS = {SEVEN.name: _SEVEN, CYCLONE_V.name: _CYCLONE_V, ECP5.name: _ECP5}
"""By the name of the family."""
