"""Whether the machine behind the registers is the one that a program was compiled for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.config import VTAConfig
from vta.errors import ConfigError, DeviceError
from vta.isa.capabilities import Capability, capabilities_of, describe
from vta.memmap import IDENTITY, VERSION, config_fields, register

if TYPE_CHECKING:
    from vta.runtime.drivers.ports import Registers

__all__ = ["require_identity"]


def require_identity(registers: Registers, cfg: VTAConfig) -> VTAConfig:
    """Read ID, VERSION, CONFIG0, CONFIG1 and CAPS; refuse another machine than ``cfg``.

    Returns
    -------
    VTAConfig
        The machine as it says it is: ``cfg`` with the bus and address widths of the hardware,
        which programs do not depend on, and its instruction set extension, which ``cfg`` may do
        without.

    Raises
    ------
    DeviceError
        Naming what differs: both fingerprints and every key.
    """

    def read(name: str) -> int:
        return registers.read(register(name).offset)

    if (found := read("ID")) != IDENTITY:
        raise DeviceError(
            f"no accelerator answers: ID reads 0x{found:08x}, must be 0x{IDENTITY:08x}; the FPGA "
            f"holds another design: configure it first"
        )
    _require_version(read("VERSION"))
    extension = _require_capabilities(read("CAPS"), cfg)
    fields = config_fields(read("CONFIG0"), read("CONFIG1")) | {"EXTENSION": extension}
    try:
        machine = VTAConfig.from_dict(cfg.to_dict() | fields)
    except ConfigError as error:
        raise DeviceError(f"the machine's CONFIG registers hold what cannot be: {error}") from None
    if machine.fingerprint != cfg.fingerprint:
        raise DeviceError(
            f"the machine is {machine.fingerprint}, the configuration asks for {cfg.fingerprint} "
            f"(they differ in: {machine.differences(cfg)}); configure the FPGA with a bitstream of "
            f"that configuration, or use the machine's"
        )
    return machine


def _require_capabilities(found: int, cfg: VTAConfig) -> int:
    """All parts of the instruction set extension that ``cfg`` has, and none that is not known.

    Returns EXTENSION of the machine.
    """
    if found not in (0, ~Capability(0)):
        raise DeviceError(
            f"CAPS reads 0x{found:08x}: the machine has another instruction set extension than "
            f"this package, where CAPS is 0x{~Capability(0):08x}, or 0 without the extension"
        )
    if missing := capabilities_of(cfg) & ~found:
        raise DeviceError(
            f"CAPS reads 0x{found:08x}: the machine lacks {describe(missing)} of the instruction "
            f"set extension; the configuration has EXTENSION {cfg.extension}, must be 0"
        )
    return int(found != 0)


def _require_version(found: int) -> None:
    """The same major version, and at least our minor one."""
    if found >> 16 != VERSION >> 16 or found < VERSION:
        raise DeviceError(
            f"the machine's register map has version {_version(found)}; this package needs "
            f"{_version(VERSION)} or a later {VERSION >> 16}.x"
        )


def _version(word: int) -> str:
    return f"{word >> 16}.{word & 0xFFFF}"
