"""The card on the bus, as the kernel's files tell: which one it is, and who drives it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vta import pcie_ids
from vta.errors import DeviceError

if TYPE_CHECKING:
    from vta.runtime.drivers.linux import Linux

__all__ = [
    "DEVICES",
    "GROUPS",
    "find_card",
    "neighbours",
    "require_bound",
    "rescan",
    "reserved_ranges",
]

DEVICES = "/sys/bus/pci/devices"
GROUPS = "/sys/kernel/iommu_groups"
_DRIVER = "vfio-pci"
_HARMLESS = (None, _DRIVER, "pci-stub", "pcieport")
"""Drivers that leave the devices of a group to VFIO; the last one is that of bridges."""
_PAGE = "docs/boards/pcie.md"

_ADDRESS = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])")
_IDS = {
    "vendor": pcie_ids.VENDOR_ID,
    "device": pcie_ids.DEVICE_ID,
    "subsystem_vendor": pcie_ids.SUBSYSTEM_VENDOR_ID,
    "subsystem_device": pcie_ids.SUBSYSTEM_DEVICE_ID,
}
"""Attributes of a device in sysfs, and what a card of ours holds."""


def _shown(ids: dict[str, int]) -> str:
    """As lspci prints them."""
    vendor, device, *subsystem = ids.values()
    return f"{vendor:04x}:{device:04x}, subsystem {subsystem[0]:04x}:{subsystem[1]:04x}"


def _ids(linux: Linux, address: str) -> dict[str, int]:
    return {name: linux.read_int(f"{DEVICES}/{address}/{name}") for name in _IDS}


def find_card(linux: Linux, card: str | None) -> str:
    """The address of the card on the bus, as ``0000:04:00.0``.

    Parameters
    ----------
    linux : Linux
        The system.
    card : str or None
        The address, with the domain or, for domain 0, without. None: the only card here.

    Raises
    ------
    DeviceError
        If ``card`` is no address or no card of ours is there; without ``card``, if there is none,
        or if there are several.
    """
    addresses = linux.listing(DEVICES)
    if not addresses:
        raise DeviceError(
            f"there is no {DEVICES}, or nothing is in it: PCIe cards are driven from Linux, on the "
            f"computer that they are in: start `vta serve --target pcie` there and use rpc.connect"
        )
    if card is not None:
        return _require_card(linux, _address(card), addresses)
    ours = [address for address in addresses if _ids(linux, address) == _IDS]
    if not ours:
        raise DeviceError(
            f"no card is on the PCI bus: none of its {len(addresses)} devices is {_shown(_IDS)}. "
            f"Configure the card's FPGA, then let the kernel look again: `echo 1 | sudo tee "
            f"/sys/bus/pci/rescan`, or restart the computer without cutting its power ({_PAGE}). "
            f"If the card is in another computer, start `vta serve --target pcie` there and use "
            f"rpc.connect"
        )
    if len(ours) > 1:
        raise DeviceError(
            f"there are several cards: {', '.join(ours)}; say which one (card=, --card)"
        )
    return ours[0]


def _address(card: object) -> str:
    found = _ADDRESS.fullmatch(card.lower()) if isinstance(card, str) else None
    if found is None:
        raise DeviceError(
            f"the card is {card!r}; must be its address on the bus, as 0000:04:00.0 (`lspci -D -d "
            f"{pcie_ids.VENDOR_ID:04x}:{pcie_ids.DEVICE_ID:04x}` lists them)"
        )
    return f"{found[1] or '0000'}:{found[2]}"


def _require_card(linux: Linux, address: str, addresses: list[str]) -> str:
    if address not in addresses:
        ours = [item for item in addresses if _ids(linux, item) == _IDS]
        raise DeviceError(
            f"nothing is at {address} on the PCI bus; cards are at {', '.join(ours) or 'none'}"
        )
    if (found := _ids(linux, address)) != _IDS:
        raise DeviceError(
            f"the device at {address} is {_shown(found)}; must be {_shown(_IDS)}: it is no card of "
            f"this project, or its FPGA holds another design"
        )
    return address


def rescan(address: str) -> str:
    """The commands that find a card anew after its FPGA was configured."""
    return (
        f"`echo 1 | sudo tee {DEVICES}/{address}/remove`, `echo 1 | sudo tee /sys/bus/pci/rescan`,"
        f" then bind it to {_DRIVER} again"
    )


def require_bound(linux: Linux, address: str) -> str:
    """The number of the card's IOMMU group.

    Raises
    ------
    DeviceError
        If there is no IOMMU, or the card is not bound to vfio-pci: with the commands to do so.
    """
    folder = f"{DEVICES}/{address}"
    group = linux.link(f"{folder}/iommu_group")
    if group is None:
        raise DeviceError(
            f"the card {address} is in no IOMMU group: this computer has no IOMMU, or it is off. "
            f"Turn it on in the firmware (Intel VT-d, AMD-Vi or IOMMU), and on an Intel computer "
            f"start the kernel with intel_iommu=on ({_PAGE})"
        )
    driver = linux.link(f"{folder}/driver")
    if driver != _DRIVER:
        unbind = f"`echo {address} | sudo tee {folder}/driver/unbind`, " if driver else ""
        raise DeviceError(
            f"the card {address} is bound to {driver or 'no driver'}; must be {_DRIVER}: `sudo "
            f"modprobe {_DRIVER}`, then `sudo driverctl set-override {address} {_DRIVER}`, or, "
            f"without driverctl, {unbind}`echo {_DRIVER} | sudo tee {folder}/driver_override`, "
            f"`echo {address} | sudo tee /sys/bus/pci/drivers_probe` ({_PAGE})"
        )
    if linux.exists(f"/dev/vfio/noiommu-{group}"):
        raise DeviceError(
            f"the card {address} is bound without an IOMMU (VFIO's unsafe mode): it could reach all"
            f" memory of this computer. Turn the IOMMU on ({_PAGE})"
        )
    return group


def neighbours(linux: Linux, group: str, address: str) -> str:
    """What else in the group is bound to which driver, of those that VFIO does not allow."""
    found = []
    for other in linux.listing(f"{GROUPS}/{group}/devices"):
        driver = linux.link(f"{DEVICES}/{other}/driver")
        if other != address and driver not in _HARMLESS:
            found.append(f"{other} ({driver})")
    return ", ".join(found)


def reserved_ranges(linux: Linux, group: str) -> str:
    """The addresses that the IOMMU keeps from this group, as the kernel tells; "" if it does
    not."""
    name = f"{GROUPS}/{group}/reserved_regions"
    if not linux.exists(name):
        return ""
    rows = [line.split() for line in linux.read(name).splitlines()]
    return ", ".join(f"{row[0]} to {row[1]} ({' '.join(row[2:])})" for row in rows if len(row) > 2)
