"""The FPGAs: what each has, and how synthesis results are counted in its own units.

A :class:`Part` is a device with its capacity, a :class:`Family` says which Yosys command maps to
it and what each cell of the mapped netlist costs. Capacities are those of the vendors' data sheets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from vta.errors import VTAError

__all__ = ["FAMILIES", "PARTS", "Family", "Part", "SynthesisError"]


class SynthesisError(VTAError):
    """A synthesis tool is missing or failed, or its netlist holds a cell of unknown cost."""


@dataclass(frozen=True)
class Family:
    """Devices that are synthesised in the same way.

    Attributes
    ----------
    name : str
        The vendor's name of the family.
    command : str
        The Yosys command, without ``-top``.
    inserted : tuple of str and str
        A label of that command, and what to do in front of it; empty if nothing.
    resources : tuple of str
        The kinds of resource, in the order in which they are reported.
    costs : mapping of str to mapping of str to Fraction
        For each cell: how much of which resource one of it takes. Cells that come for free with
        others (carry chains, wide multiplexers) have an empty cost.
    dsp48 : bool
        Whether a multiplier is a slice of 25 x 18 bits with an adder of 48 bits behind it
        (``Core(dsp48=...)``).
    wide_luts : bool
        Whether a LUT has six inputs (``Core(wide_luts=...)``).
    zero_memories : bool
        Whether ``inserted`` leaves out the first values of memories, which must be zero then.
    """

    name: str
    command: str
    resources: tuple[str, ...]
    costs: Mapping[str, Mapping[str, Fraction]]
    dsp48: bool = False
    wide_luts: bool = False
    inserted: tuple[str, str] | tuple[()] = ()
    zero_memories: bool = False

    def script(self, top: str) -> str:
        """The Yosys commands that map the module ``top``."""
        command = f"{self.command} -top {top}"
        if not self.inserted:
            return command
        label, steps = self.inserted
        return f"{command} -run :{label}; {steps}; {command} -run {label}:"

    def count(self, cells: Mapping[str, int]) -> dict[str, Fraction]:
        """The resources that ``cells`` (cell to number) take.

        Raises
        ------
        SynthesisError
            For a cell that is not in :attr:`costs`.
        """
        total = dict.fromkeys(self.resources, Fraction(0))
        for cell, number in cells.items():
            if cell not in self.costs:
                raise SynthesisError(
                    f"{self.name}: the netlist holds {number} cells {cell}, whose cost is not "
                    f"known; known cells are {', '.join(self.costs)}"
                )
            for resource, each in self.costs[cell].items():
                total[resource] += number * each
        return total


@dataclass(frozen=True)
class Part:
    """One device.

    Attributes
    ----------
    name : str
        The vendor's part number, without speed grade and package.
    family : Family
        How it is synthesised.
    capacity : mapping of str to int
        How much it has of each of the family's resources.
    nextpnr : tuple of str
        Options of the open place-and-route tool for this device; empty if there is none.
    """

    name: str
    family: Family
    capacity: Mapping[str, int]
    nextpnr: tuple[str, ...] = ()


def _costs(**by_resource: Mapping[str, int | Fraction]) -> dict[str, dict[str, Fraction]]:
    """Turn ``resource={"CELL OTHER_CELL": each}`` around: cell to resource to cost."""
    costs: dict[str, dict[str, Fraction]] = {}
    for resource, cells in by_resource.items():
        for names, each in cells.items():
            for name in names.split():
                cost = costs.setdefault(name, {})
                if each:
                    cost[resource] = Fraction(each)
    return costs


_XILINX_COSTS = _costs(
    LUT={
        "LUT1 LUT2 LUT3 LUT4 LUT5 LUT6 INV SRL16E SRLC32E RAM32X1S RAM64X1S": 1,
        "RAM32X1D RAM64X1D": 2,
        "RAM32M RAM64M RAM128X1D": 4,
        "RAM32M16 RAM64M8": 8,
        "CARRY4 CARRY8 MUXF7 MUXF8 MUXF9": 0,
        "IBUF OBUF OBUFT IOBUF BUFG BUFG_PS PS7 PS8 MMCME4_BASE IBUFDS_GTE4": 0,
        "pcie4_uscale_plus_0": 0,
    },
    FF={"FDRE FDSE FDCE FDPE": 1},
    DSP={"DSP48E1 DSP48E2": 1},
    BRAM36={"RAMB36E1 RAMB36E2": 1, "RAMB18E1 RAMB18E2": Fraction(1, 2)},
)
"""A LUT is a 6-input LUT. Vivado puts two small functions of common inputs into one, Yosys does
not, so that the number is an upper estimate. The IP of a PCIe card has logic and block RAM beside
its hard block, which only Vivado knows: they are not counted."""

_XILINX_RESOURCES = ("LUT", "FF", "DSP", "BRAM36")

SEVEN = Family(
    name="7-series",
    command="synth_xilinx -family xc7 -noiopad -noclkbuf",
    resources=_XILINX_RESOURCES,
    costs=_XILINX_COSTS,
    dsp48=True,
    wide_luts=True,
)

ULTRASCALE_PLUS = Family(
    name="UltraScale+",
    command="synth_xilinx -family xcup -noiopad -noclkbuf",
    resources=_XILINX_RESOURCES,
    costs=_XILINX_COSTS,
    dsp48=True,
    wide_luts=True,
)

CYCLONE_V = Family(
    name="Cyclone V",
    command="synth_intel_alm -family cyclonev -noiopad -noclkbuf",
    resources=("ALM", "FF", "DSP", "M10K"),
    costs=_costs(
        ALM={
            "MISTRAL_ALUT6 MISTRAL_ALUT5": 1,
            "MISTRAL_ALUT2 MISTRAL_ALUT3 MISTRAL_ALUT4 MISTRAL_ALUT_ARITH": Fraction(1, 2),
            "MISTRAL_MLAB": Fraction(1, 2),
            "MISTRAL_NOT MISTRAL_BUF MISTRAL_CONST altera_pll altiobuf_in altiobuf_out": 0,
        },
        FF={"MISTRAL_FF": 1, "altera_std_synchronizer": 3},
        DSP={
            "MISTRAL_MUL27X27": 1,
            "MISTRAL_MUL18X18": Fraction(1, 2),
            "MISTRAL_MUL9X9": Fraction(1, 3),
        },
        M10K={"MISTRAL_M10K": 1},
    ),
    inserted=(
        "map_bram",
        # Left to itself, the command makes LUTs of sums of three and more; these make carry chains.
        "maccmap; techmap -map +/intel_alm/common/arith_alm_map.v; "
        # The command makes registers of a small memory that has a value at the start, zeros as
        # well. Quartus starts an MLAB with zeros, which is what the memories of the RTL have: the
        # values go, once it is sure that they are zeros (zero_memories). ROMs, whose names begin
        # with $, keep theirs.
        "setparam -set INIT 1'x t:$mem_v2 n:$* %d; "
        # A function of five inputs costs as much as one of six here, as below; ABC keeps the best
        # of three mappings.
        "setattr -mod -set abc9_lut 2 =MISTRAL_ALUT5; "
        "scratchpad -copy abc9.script.flow3 abc9.script",
    ),
    wide_luts=True,
    zero_memories=True,
)
"""An ALM holds two functions of up to four inputs, two bits of an adder, or one function of five
or six inputs (two of five that share inputs are counted apart: an upper estimate); four registers;
two bits of a 32-word memory. Inverters go into the functions that follow them."""

ECP5 = Family(
    name="ECP5",
    command="synth_ecp5 -nowidelut",
    resources=("LUT4", "FF", "DSP", "EBR"),
    costs=_costs(
        LUT4={
            "LUT4": 1,
            "CCU2C": 2,
            "TRELLIS_DPR16X4": 6,
            "PFUMX L6MUX21 TRELLIS_IO ODDRX1F EHXPLLL": 0,
        },
        FF={"TRELLIS_FF": 1},
        DSP={"MULT18X18D": 1},
        EBR={"DP16KD": 1},
    ),
    inserted=("map_luts", "scratchpad -copy abc9.script.flow3 abc9.script"),
)
"""ABC keeps the best of three mappings: fewer LUTs, and fewer deep paths, than by its default."""

_GOWIN_COSTS = _costs(
    LUT4={
        "LUT1 LUT2 LUT3 LUT4 INV ALU": 1,
        "RAM16SDP1 RAM16SDP2 RAM16SDP4": 4,
        "MUX2_LUT5 MUX2_LUT6 MUX2_LUT7 MUX2_LUT8 VCC GND BUFG IBUF OBUF TBUF IOBUF": 0,
    },
    FF={"DFF DFFE DFFS DFFSE DFFR DFFRE DFFP DFFPE DFFC DFFCE": 1},
    DSP={"MULT9X9": Fraction(1, 2), "MULT18X18": 1, "MULT36X36": 4},
    BSRAM={"SP SPX9 SDP SDPB SDPX9 SDPX9B DPB DPX9B pROM pROMX9": 1},
)
"""An adder takes a LUT a bit, a memory of 16 words the four LUTs of half a logic block; a DSP is a
multiplier of 18 x 18."""

_GOWIN_RESOURCES = ("LUT4", "FF", "DSP", "BSRAM")

GW2A = Family(
    name="GW2A",
    command="synth_gowin -family gw2a -noiopads -nowidelut",
    resources=_GOWIN_RESOURCES,
    costs=_GOWIN_COSTS,
)

GW5A = Family(
    name="GW5A",
    command="synth_gowin -family gw5a -noiopads -nowidelut",
    resources=_GOWIN_RESOURCES,
    costs=_GOWIN_COSTS,
)
"""Yosys makes no multipliers of this family: products are made of LUTs."""

FAMILIES = (SEVEN, ULTRASCALE_PLUS, CYCLONE_V, ECP5, GW2A, GW5A)


def _xilinx(lut: int, ff: int, dsp: int, bram36: int) -> dict[str, int]:
    return {"LUT": lut, "FF": ff, "DSP": dsp, "BRAM36": bram36}


def _ecp5(name: str, option: str, lut4: int, dsp: int, ebr: int) -> Part:
    capacity = {"LUT4": lut4, "FF": lut4, "DSP": dsp, "EBR": ebr}
    return Part(name, ECP5, capacity, (option, "--package", "CABGA381", "--speed", "6"))


PARTS = {
    part.name: part
    for part in (
        Part("XC7Z020", SEVEN, _xilinx(53_200, 106_400, 220, 140)),
        Part("XCZU3EG", ULTRASCALE_PLUS, _xilinx(70_560, 141_120, 360, 216)),
        Part("XCKU3P", ULTRASCALE_PLUS, _xilinx(162_720, 325_440, 1_368, 360)),
        Part("XCZU7EV", ULTRASCALE_PLUS, _xilinx(230_400, 460_800, 1_728, 312)),
        Part("5CSEBA6", CYCLONE_V, {"ALM": 41_910, "FF": 167_640, "DSP": 112, "M10K": 553}),
        Part("GW2AR-18C", GW2A, {"LUT4": 20_736, "FF": 15_552, "DSP": 48, "BSRAM": 46}),
        Part("GW5A-25A", GW5A, {"LUT4": 23_040, "FF": 23_040, "DSP": 28, "BSRAM": 56}),
        Part("GW5AST-138C", GW5A, {"LUT4": 138_240, "FF": 138_240, "DSP": 298, "BSRAM": 340}),
        _ecp5("LFE5U-25F", "--25k", 24_288, 28, 56),
        _ecp5("LFE5U-45F", "--45k", 43_848, 72, 108),
        _ecp5("LFE5U-85F", "--85k", 83_640, 156, 208),
    )
}
"""Part number to part."""
