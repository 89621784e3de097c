"""AS02MC04 (Alibaba Cloud): a PCIe card with a Kintex UltraScale+ KU3P, sold second-hand.

Pins: the card's files of LiteX, found by its owners, since its maker published none. The lanes
and the reference clock are those of the part's PCIe block beside transceiver quad 225.
"""

from amaranth.build import Attrs, DiffPairs, Pins, Resource, Subsignal
from amaranth.vendor import XilinxPlatform
from amaranth_boards.resources import LEDResources

from vta import pcie_ids
from vta.boards.board import Board
from vta.boards.shells.pcie import PCIE_MEMORY, REFERENCE_HZ, USER_HZ, pcie_shell
from vta.boards.shells.pcie_block import HARD_BLOCK, LANES, black_box
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.vivado import Ip, Vivado
from vta.config import VTAConfig

_LVCMOS18 = Attrs(IOSTANDARD="LVCMOS18")


class As02mc04Platform(XilinxPlatform):
    """The pins that the shell uses: four of the eight lanes."""

    device = "xcku3p"
    package = "ffvb676"
    speed = "2-e"
    resources = (
        *LEDResources(pins="B11 C11 A10 B10", attrs=_LVCMOS18),
        Resource(
            "pcie", 0,
            Subsignal("reset_n", Pins("A9", dir="i"), _LVCMOS18),
            Subsignal("clock", DiffPairs(p="T7", n="T6", dir="i")),
            Subsignal("rx", DiffPairs(p="P2 T2 V2 Y2", n="P1 T1 V1 Y1", dir="i")),
            Subsignal("tx", DiffPairs(p="R5 U5 W5 AA5", n="R4 U4 W4 AA4", dir="o")),
        ),
    )  # fmt: skip
    connectors = ()


PCIE_IP = Ip(
    "pcie4_uscale_plus",
    HARD_BLOCK,
    {
        "PL_LINK_CAP_MAX_LINK_SPEED": "5.0_GT/s",
        "PL_LINK_CAP_MAX_LINK_WIDTH": f"X{LANES}",
        "axisten_if_width": "128_bit",
        "axisten_freq": "125",
        "AXISTEN_IF_RC_STRADDLE": "false",
        "axisten_if_enable_client_tag": "true",
        "vendor_id": f"{pcie_ids.VENDOR_ID:04X}",
        "PF0_DEVICE_ID": f"{pcie_ids.DEVICE_ID:04X}",
        "PF0_SUBSYSTEM_VENDOR_ID": f"{pcie_ids.SUBSYSTEM_VENDOR_ID:04X}",
        "PF0_SUBSYSTEM_ID": f"{pcie_ids.SUBSYSTEM_DEVICE_ID:04X}",
        "PF0_CLASS_CODE": f"{pcie_ids.CLASS_CODE:06X}",
        "pf0_bar0_64bit": "false",
        "pf0_bar0_prefetchable": "false",
        "pf0_bar0_scale": "Kilobytes",
        "pf0_bar0_size": "4",
        "mode_selection": "Advanced",
        "en_gt_selection": "true",
        "MASTER_GT": "GTYE4_CHANNEL_X0Y7",
    },
    black_box(),
)
"""The hard block; lane 0 is at the last transceiver of quad 225."""

BOARD = Board(
    name="as02mc04",
    title="AS02MC04, PCIe card with XCKU3P (Alibaba Cloud)",
    part=PARTS["XCKU3P"],
    platform=As02mc04Platform,
    config=VTAConfig.preset("default").replace(target="pcie", log_bus_width=7),
    clock_hz=100_000_000,
    shell=pcie_shell,
    toolchain=Vivado(ips=(PCIE_IP,), reference_hz=REFERENCE_HZ, user_hz=USER_HZ),
    memory=PCIE_MEMORY,
)
