"""Sessions: a device, and a folder to put program files in."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from vta.errors import ConfigError, DeviceError, NotProvidedError
from vta.program import Program
from vta.runtime.device import Programmable
from vta.runtime.module import CompiledModule
from vta.runtime.simulated import SIMULATED
from vta.runtime.targets import open_device
from vta.targets import how_configured

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.runtime.device import Device

__all__ = [
    "LocalSession",
    "Session",
    "TvmSessionNames",
    "no_fpga",
    "not_uploaded",
    "require_bitstream",
    "require_ext_dev",
    "require_fpga",
    "require_index",
    "require_plain_name",
    "require_same",
]


class Session(Protocol):
    """What every session offers, in this process or over a network.

    A remote one hands out a :class:`~vta.runtime.device.Device` that forwards each call.
    """

    def upload(self, path: str | Path, name: str | None = None) -> None:
        """Copy a file into the session's folder; it is data, and is not executed."""
        ...

    def load_module(self, name: str) -> CompiledModule:
        """The checked program in an uploaded file, bound to the session's device."""
        ...

    def ext_dev(self, index: int = 0) -> Device:
        """The accelerator."""
        ...

    def device(self, name: str = "ext_dev", index: int = 0) -> Device:
        """:meth:`ext_dev`, under the name of the original."""
        ...

    def require_config(self, cfg: VTAConfig) -> None:
        """Refuse, with a ConfigError, a configuration that the device does not have."""
        ...

    def program_fpga(self, bitstream: str | Path | None) -> None:
        """Configure the device's FPGA with a file of this machine."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


class TvmSessionNames:
    """Base of sessions: names of TVM's sessions without a counterpart here say what to use."""

    if not TYPE_CHECKING:  # mypy shall report these names as missing

        def __getattr__(self, name: str) -> NoReturn:
            if name in _NOT_PROVIDED:
                raise NotProvidedError(
                    f"session.{name} is no part of this package; {_NOT_PROVIDED[name]}"
                )
            names = ", ".join(item for item in dir(self) if not item.startswith("_"))
            raise AttributeError(f"a session has no {name}; it has {names}")


_NOT_PROVIDED = {
    "get_function": "a session runs checked programs, not functions by name: "
    "session.upload(path), then session.load_module(name)",
    "cpu": "arrays on the host are NumPy arrays; session.ext_dev(0) is the accelerator",
    "download": "a program returns its results in arrays: array.numpy()",
    "remove": "session.close() removes the uploaded files",
}
_NOT_PROVIDED |= dict.fromkeys(
    ("cl", "cuda", "gpu", "hexagon", "metal", "opencl", "rocm", "vulkan", "webgpu"),
    "a session has one device, the accelerator: session.ext_dev(0)",
)


class LocalSession(TvmSessionNames):
    """A device of this machine: simulated in this process, or the board that it runs on.

    Parameters
    ----------
    cfg : VTAConfig
        The machine; its TARGET says which device.
    **options
        For the device, see :func:`vta.runtime.targets.open_device`.
    """

    def __init__(self, cfg: VTAConfig, **options: Any) -> None:
        self.cfg = cfg
        self._options = options
        self._device: Device | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="vta-session-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def upload(self, path: str | Path, name: str | None = None) -> None:
        """Copy a file into the session's folder as ``name`` (its own name if None).

        Raises
        ------
        DeviceError
            If the file cannot be read or the name is no plain file name.
        """
        target = self._file(Path(path).name if name is None else name)
        try:
            shutil.copyfile(path, target)
        except OSError as error:
            raise DeviceError(f"cannot upload {path}: {error}") from None

    def load_module(self, name: str) -> CompiledModule:
        """The uploaded program, bound to this session's device.

        Raises
        ------
        DeviceError
            If nothing of that name was uploaded.
        ProgramError
            If the file is no program, or one for another configuration.
        """
        path = self._file(name)
        if not path.is_file():
            raise not_uploaded(name)
        return CompiledModule(Program.load(path), self.ext_dev())

    def ext_dev(self, index: int = 0) -> Device:
        """The accelerator, made on first use. There is one: ``index`` is 0."""
        require_index(index)
        if self._device is None:
            self._device = open_device(self.cfg, **self._options)
        return self._device

    def device(self, name: str = "ext_dev", index: int = 0) -> Device:
        """:meth:`ext_dev`; ``name`` is ``ext_dev`` or the text of a target of that kind.

        Raises
        ------
        DeviceError
            For another kind of device or another index.
        """
        require_ext_dev(name)
        return self.ext_dev(index)

    def require_config(self, cfg: VTAConfig) -> None:
        """Refuse a configuration that the device does not have.

        Raises
        ------
        ConfigError
            Naming both.
        """
        require_same(cfg, self.cfg, "the session's device")

    def program_fpga(self, bitstream: str | Path | None) -> None:
        """Configure the device's FPGA with a file.

        Raises
        ------
        DeviceError
            If the device cannot do that, the file cannot be read, or the device refuses it.
        """
        device = require_fpga(self.ext_dev())
        path = require_bitstream(bitstream)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DeviceError(f"cannot read the bitstream {path}: {error}") from None
        device.program_fpga(content)

    def close(self) -> None:
        """Free the device and the folder."""
        if self._device is not None:
            self._device.close()
        self._remove()

    def _file(self, name: str) -> Path:
        return self._folder / require_plain_name(name)


def require_plain_name(name: str) -> str:
    """The name itself, if it can only be that of a file in one folder.

    Raises
    ------
    DeviceError
        If it is empty, a path, or holds unprintable characters.
    """
    if not name or name in (".", "..") or set("/\\") & set(name) or not name.isprintable():
        raise DeviceError(f"{name!r} is no plain file name")
    return name


def not_uploaded(name: str) -> DeviceError:
    """The error for a file that a session does not have."""
    return DeviceError(f"nothing named {name!r} was uploaded to this session")


def require_index(index: int) -> None:
    """Refuse every device of a session but the one that it has.

    Raises
    ------
    DeviceError
        If the index is not 0.
    """
    if index != 0:
        raise DeviceError(f"device {index} of a session; there is only device 0")


def require_ext_dev(name: str) -> None:
    """Refuse devices that are no accelerator.

    Raises
    ------
    DeviceError
        If the first word of ``name`` is not ``ext_dev``.
    """
    if str(name).split(maxsplit=1)[:1] != ["ext_dev"]:
        raise DeviceError(
            f"session.device({str(name)!r}): must be 'ext_dev', the accelerator, which is the only "
            f"device of a session; arrays on the host are NumPy arrays"
        )


def require_fpga(device: Device) -> Programmable:
    """The device itself, if it has an FPGA.

    Raises
    ------
    DeviceError
        If it is a simulator.
    """
    if not isinstance(device, Programmable):
        raise no_fpga(device)
    return device


def require_same(cfg: VTAConfig, theirs: VTAConfig, what: str) -> None:
    """Refuse a configuration that makes other programs than ``theirs`` runs.

    Raises
    ------
    ConfigError
        Naming both and ``what`` has the other one.
    """
    if cfg.fingerprint != theirs.fingerprint:
        raise ConfigError(
            f"the environment is {cfg.fingerprint}, {what} is {theirs.fingerprint}; use its "
            f"configuration, or start it with yours"
        )


def no_fpga(device: Device) -> DeviceError:
    """What to say when a simulator is to be configured, or a board by somebody else."""
    if device.name in SIMULATED:
        return DeviceError(f"the device {device.name} is a simulator; it has no FPGA")
    return DeviceError(f"the FPGA of {device.name} is configured {how_configured(device.name)}")


def require_bitstream(path: str | Path | None) -> Path:
    """The path of a bitstream, which must be given.

    Raises
    ------
    DeviceError
        If it is not.
    """
    if path is None:
        raise DeviceError("no bitstream was given; nothing is downloaded from anywhere")
    return Path(path)
