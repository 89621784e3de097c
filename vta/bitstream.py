"""What an FPGA is configured with, and for which machine it was made: one ``.vtabit`` file.

``make bitstream`` writes such a file from what the vendor's tool made; ``vta.program_fpga`` reads
it. A vendor's bitstream alone says nothing of the accelerator in it. The format is described in
docs/boards/drivers.md.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from vta.config import VTAConfig
from vta.container import FileKind, shown
from vta.errors import BitstreamError, ConfigError
from vta.memmap import VERSION, config_words

__all__ = ["DATA_FORMATS", "SUFFIX", "Bitstream"]

SUFFIX = ".vtabit"
FORMAT_VERSION = 1

DATA_FORMATS = {
    "xilinx-bit": "Vivado's .bit, with its header",
    "xilinx-bin": "Vivado's .bin: the same without the header, bytes as in the .bit",
    "rbf": "Quartus' raw binary file for the HPS' FPGA manager",
    "ecp5-bit": "ecppack's .bit",
    "gowin-fs": "gowin_pack's .fs, with a comment in front that says the usercode",
}
"""How the vendor's file is laid out."""

_DATA = "bitstream.bin"
_MAX_ERROR_TEXT = 1000
_FILE = FileKind("vta-bitstream", FORMAT_VERSION, "VTA bitstream", (_DATA,), BitstreamError)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_FOREIGN = (
    (b"\x00\x09\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\x00\x00\x01", "a Xilinx .bit"),
    (b"\xff\xff\xff\xff", "raw configuration data (a Xilinx .bin, an .rbf or a Lattice .bit)"),
    (b"\xff\x00", "a Lattice .bit"),
    (b"SOF", "a Quartus .sof"),
)
"""First bytes of files that people may have instead, and what those are."""


@dataclass(frozen=True)
class Bitstream:
    """A vendor's bitstream and what is in it.

    Attributes
    ----------
    board : str
        The board's name, as ``make bitstream BOARD=`` takes it.
    part : str
        The FPGA's part number as its tool names it.
    cfg : VTAConfig
        The machine inside.
    clock_hz : int
        Clock of the accelerator in Hz.
    data_format : str
        A key of :data:`DATA_FORMATS`.
    data : bytes
        The vendor's file.
    tool : str
        What made it, with its version; may be empty.
    register_map : int
        The register VERSION of the machine inside (:data:`vta.memmap.VERSION`).

    Raises
    ------
    BitstreamError
        If a value cannot be.
    """

    board: str
    part: str
    cfg: VTAConfig
    clock_hz: int
    data_format: str
    data: bytes = field(repr=False)
    tool: str = ""
    register_map: int = VERSION

    def __post_init__(self) -> None:
        for name in ("board", "part"):
            value = getattr(self, name)
            if not _PLAIN.fullmatch(value):
                raise BitstreamError(
                    f"the {name} is {value!r}; must be a name of letters, digits, '_', '-', '.'"
                )
        if self.data_format not in DATA_FORMATS:
            raise BitstreamError(
                f"the data format is {self.data_format!r}; must be one of {', '.join(DATA_FORMATS)}"
            )
        if not 1 <= self.clock_hz <= 10**10:
            raise BitstreamError(f"the clock is {self.clock_hz} Hz; must be 1 Hz to 10 GHz")
        if not self.data:
            raise BitstreamError("the vendor's file is empty")

    @property
    def fingerprint(self) -> str:
        """What programs for the machine inside must match."""
        return self.cfg.fingerprint

    @property
    def config_words(self) -> tuple[int, int]:
        """What CONFIG0 and CONFIG1 read once the FPGA is configured."""
        return config_words(self.cfg)

    @property
    def sha256(self) -> str:
        """Of the vendor's file, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    def require_machine(self, cfg: VTAConfig) -> None:
        """Refuse a configuration that makes other programs than the machine inside runs.

        Raises
        ------
        BitstreamError
            Naming both, and the keys of the configuration in which they differ.
        """
        if self.fingerprint != cfg.fingerprint:
            raise BitstreamError(
                f"the bitstream holds {self.fingerprint}, the device was opened for "
                f"{cfg.fingerprint} (they differ in: {self.cfg.differences(cfg)})"
            )

    # ---- files -----------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The contents of a ``.vtabit`` file; the same bitstream gives the same bytes."""
        manifest = {
            "board": self.board,
            "part": self.part,
            "fingerprint": self.fingerprint,
            "config": self.cfg.to_dict(),
            "config_words": list(self.config_words),
            "register_map": self.register_map,
            "clock_hz": self.clock_hz,
            "tool": self.tool,
            "data_format": self.data_format,
            "nbytes": len(self.data),
            "sha256": self.sha256,
        }
        return _FILE.pack(manifest, {_DATA: self.data})

    def save(self, path: str | Path) -> None:
        """Write a file.

        Raises
        ------
        BitstreamError
            If it cannot be written.
        """
        try:
            Path(path).write_bytes(self.to_bytes())
        except OSError as error:
            raise BitstreamError(f"the bitstream cannot be saved: {error}") from None

    @classmethod
    def load(cls, path: str | Path) -> Bitstream:
        """Read and check a file.

        Raises
        ------
        BitstreamError
            If it is unreadable, truncated, foreign (a vendor's file too), newer than this version,
            or inconsistent.
        """
        return cls.from_bytes(_FILE.read_file(path), where=str(path))

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str = "bitstream") -> Bitstream:
        """The checked bitstream in the contents of a file; ``where`` names it in errors.

        Raises
        ------
        BitstreamError
            As :meth:`load`.
        """
        for magic, what in _FOREIGN:
            if data.startswith(magic):
                raise BitstreamError(
                    f"{where} is {what}, which does not say what machine is in it; use the "
                    f"{SUFFIX} file that `make bitstream` writes beside it"
                )
        try:
            return cls._from_file(data)
        except (BitstreamError, ConfigError) as error:
            raise BitstreamError(f"{where}: {shown(str(error), _MAX_ERROR_TEXT)}") from None

    @classmethod
    def _from_file(cls, content: bytes) -> Bitstream:
        manifest, members = _FILE.unpack(content)

        bitstream = cls(
            board=_FILE.entry(manifest, "board", str),
            part=_FILE.entry(manifest, "part", str),
            cfg=VTAConfig.from_dict(_FILE.entry(manifest, "config", dict)),
            clock_hz=_FILE.entry(manifest, "clock_hz", int),
            data_format=_FILE.entry(manifest, "data_format", str),
            data=members[_DATA],
            tool=_FILE.entry(manifest, "tool", str),
            register_map=_FILE.entry(manifest, "register_map", int),
        )
        derived = {
            "fingerprint": bitstream.fingerprint,
            "config_words": list(bitstream.config_words),
            "nbytes": len(bitstream.data),
            "sha256": bitstream.sha256,
        }
        for key, value in derived.items():
            if _FILE.entry(manifest, key, type(value)) != value:
                raise BitstreamError(
                    f"manifest entry {key!r} is {manifest[key]!r}, but the rest gives {value!r}"
                )
        return bitstream

    @staticmethod
    def is_one(data: bytes) -> bool:
        """Whether these bytes are such a file, rather than a program or something else; they may
        still be damaged."""
        return _FILE.claims(data)
