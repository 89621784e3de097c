"""The driver of a board that configures its own FPGA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vta.bitstream import Bitstream
from vta.errors import BitstreamError
from vta.memmap import VERSION
from vta.runtime.drivers.machine import MappedDevice

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.runtime.drivers.ports import DeviceMemory, Fpga, Registers

__all__ = ["FpgaDevice"]


class FpgaDevice(MappedDevice):
    """A driver that configures its FPGA; implements :class:`vta.runtime.device.Programmable`.

    Parameters
    ----------
    fpga : Fpga
        The FPGA. While it is not configured the registers are not touched and nothing can run.
    bitstream : Bitstream or None
        Configure it with this first.
    cfg, registers, memory, **options
        As for :class:`~.machine.MappedDevice`.

    Raises
    ------
    BitstreamError
        If the bitstream is for another board or configuration.
    DeviceError
        As :class:`~.machine.MappedDevice`, or if the FPGA cannot be configured.
    """

    def __init__(
        self,
        cfg: VTAConfig,
        registers: Registers,
        memory: DeviceMemory,
        fpga: Fpga,
        *,
        bitstream: Bitstream | None = None,
        **options: Any,
    ) -> None:
        self._fpga, self._first = fpga, bitstream
        super().__init__(cfg, registers, memory, **options)

    def _identify(self) -> None:
        first, self._first = self._first, None
        if first is not None:
            self._configure(first)
        elif self._fpga.is_configured():
            super()._identify()
        else:
            self._unusable = "its FPGA is not configured; vta.program_fpga does that"

    def program_fpga(self, bitstream: bytes) -> None:
        """Configure the FPGA with the contents of a ``.vtabit`` file.

        Raises
        ------
        BitstreamError
            If the file is damaged, or for another board or configuration; nothing has changed then.
        DeviceError
            If configuring fails, or another machine answers afterwards; nothing can run then.
        """
        self._require_open()
        self._configure(Bitstream.from_bytes(bitstream))

    def _configure(self, bitstream: Bitstream) -> None:
        bitstream.require_machine(self.cfg)
        self._fpga.require(bitstream)
        if bitstream.register_map >> 16 != VERSION >> 16:
            raise BitstreamError(
                f"the bitstream's register map is of major version {bitstream.register_map >> 16}; "
                f"this package drives {VERSION >> 16}"
            )
        self._unusable = "configuring its FPGA failed"
        self._fpga.configure(bitstream)
        self._unusable = "another machine is in its FPGA"
        super()._identify()
        self.clock_hz = bitstream.clock_hz
