"""How a PCIe card of this project names itself: shared by the gateware's configuration space and
the driver that looks for the card.

The vendor number is that of the maker of the FPGA (AMD, formerly Xilinx), as other designs for
these parts have it. The device number is in no register of numbers: another design may have taken
it too, so that the driver compares all four.
"""

from __future__ import annotations

__all__ = ["CLASS_CODE", "DEVICE_ID", "SUBSYSTEM_DEVICE_ID", "SUBSYSTEM_VENDOR_ID", "VENDOR_ID"]

VENDOR_ID = 0x10EE
"""Xilinx, Inc."""
DEVICE_ID = 0x7A1A
SUBSYSTEM_VENDOR_ID = 0x10EE
SUBSYSTEM_DEVICE_ID = 0x5654
"""The letters VT."""
CLASS_CODE = 0x12_0000
"""24 bits: base class 0x12, processing accelerator; sub-class and programming interface 0."""
