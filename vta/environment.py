"""The tutorials' view of the configuration: ``env = vta.get_env()``.

The configuration comes from the file that the environment variable VTA_CONFIG names, else from the
preset ``default``; VTA_TARGET overrides its TARGET. The token of a remote session comes from the
variable VTA_RPC_TOKEN (:func:`rpc_token`), the server that :func:`vta.testing.run` uses from
VTA_RPC_HOST and VTA_RPC_PORT (:func:`rpc_server`). This is the one place where environment
variables are read, besides the command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import vta.int4  # noqa: F401 - NumPy knows inp_dtype and the others
from vta.build_target import BuildTarget
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, GemmIntrin, Target
from vta.config import VTAConfig
from vta.errors import ConfigError, NotProvidedError
from vta.targets import wrong_target

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Environment", "get_env", "rpc_server", "rpc_token"]

_BUFFERS = ("UOP", "INP", "WGT", "ACC", "OUT")
_TENSORS = ("INP", "WGT", "ACC", "OUT")


_NOT_PROVIDED = {
    "target_vta_cpu": "there is no code for the host's CPU: vta.build makes a program of the "
    "accelerator (env.target), and NumPy computes on the host",
    "pkg": "there is no C++ runtime to compile; `vta config` prints the sizes of a configuration",
    "dev": "vta.isa has the memories, modules and token queues of the machine",
    "MAX_XFER": "the compiler splits transfers (vta.isa.MAX_TRANSFER_SIZE is the limit of one "
    "instruction)",
}
"""Attributes of the original environment without a counterpart, and what to use instead."""


class Environment:
    """A configuration under the names that the tutorials use; its attributes are read-only.

    Beside the attributes below: every key of vta_config.json (``TARGET``, ``LOG_BATCH`` ...),
    ``INP_WIDTH``, ``INP_ELEM_BITS``, ``INP_ELEM_BYTES``, ``INP_BUFF_SIZE`` (and WGT, ACC, OUT; UOP
    has only the last), ``BATCH``, ``BLOCK_IN``, ``BLOCK_OUT``. Widths and ELEM_BITS are in bits,
    BUFF_SIZE and ELEM_BYTES in bytes.

    Parameters
    ----------
    cfg : VTAConfig or mapping
        The configuration, or the keys and values of a vta_config.json.

    Raises
    ------
    ConfigError
        If it is neither, or the values make no configuration; when an attribute is set.

    Attributes
    ----------
    cfg : VTAConfig
        The configuration.
    inp_dtype, wgt_dtype, acc_dtype, out_dtype : str
        Types of the values.
    inp_scope, wgt_scope, acc_scope : str
        Names of the on-chip memories.
    dma_copy, alu : str
        Keys of the pragmas.
    gemm : GemmIntrin
        What ``tensorize`` takes.
    mock : Environment
        The same with pragmas and intrinsic that leave nothing in the program.
    DEBUG_DUMP_INSN, DEBUG_DUMP_UOP : int
        Flags of ``vta.build_config(debug_flag=...)``: print the instructions, the micro-ops.
    DEBUG_SKIP_READ_BARRIER, DEBUG_SKIP_WRITE_BARRIER : int
        Accepted there; without effect: drivers flush and invalidate wherever it is needed.
    """

    DEBUG_DUMP_INSN = 1 << 1
    DEBUG_DUMP_UOP = 1 << 2
    DEBUG_SKIP_READ_BARRIER = 1 << 3
    DEBUG_SKIP_WRITE_BARRIER = 1 << 4

    current: ClassVar[Environment | None] = None
    """The innermost environment entered with ``with``."""

    inp_scope = INP_SCOPE
    wgt_scope = WGT_SCOPE
    acc_scope = ACC_SCOPE
    target_host = "python"
    """There is no host code: a program is data."""

    cfg: VTAConfig
    mock_mode: bool

    def __init__(self, cfg: VTAConfig | Mapping[str, Any]) -> None:
        if isinstance(cfg, Mapping):
            cfg = VTAConfig.from_dict(cfg)
        elif not isinstance(cfg, VTAConfig):
            raise ConfigError(
                f"Environment: cfg is {cfg!r}; must be a VTAConfig (VTAConfig.from_file reads one) "
                f"or a dictionary with the keys of a vta_config.json"
            )
        self._set(cfg, mock_mode=False)

    def _set(self, cfg: VTAConfig, *, mock_mode: bool) -> None:
        """Fill in the attributes, which are read-only from then on."""
        values: dict[str, Any] = {"cfg": cfg, **cfg.to_dict()}
        values |= {"BATCH": cfg.batch, "BLOCK_IN": cfg.block_in, "BLOCK_OUT": cfg.block_out}
        for name in _BUFFERS:
            values[f"{name}_BUFF_SIZE"] = 1 << getattr(cfg, f"log_{name.lower()}_buff_size")
        for name in _TENSORS:
            lower = name.lower()
            values[f"{name}_WIDTH"] = getattr(cfg, f"{lower}_width")
            values[f"{name}_ELEM_BITS"] = getattr(cfg, f"{lower}_elem_bits")
            values[f"{name}_ELEM_BYTES"] = getattr(cfg, f"{lower}_elem_bytes")
            values[f"{lower}_dtype"] = getattr(cfg, f"{lower}_dtype")
        values["LOG_OUT_WIDTH"] = cfg.log_out_width
        values["LOG_OUT_BUFF_SIZE"] = cfg.log_out_buff_size
        values["LOG_BLOCK_IN"] = values["LOG_BLOCK_OUT"] = cfg.log_block
        values["BITSTREAM"] = cfg.fingerprint
        values["MODEL"] = f"{cfg.target}_{cfg.fingerprint}"
        values["mock_mode"] = mock_mode
        values["dma_copy"] = "skip_dma_copy" if mock_mode else "dma_copy"
        values["alu"] = "skip_alu" if mock_mode else "alu"
        values["_outer"] = []
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        known = {field.name for field in fields(VTAConfig)}
        key = next((k for k in (name.lower(), f"log_{name.lower()}") if k in known), None)
        key = "log_block" if name in ("BLOCK_IN", "BLOCK_OUT") else key
        raise ConfigError(
            f"env.{name} cannot be set to {value!r}: the attributes of an environment are "
            f"read-only; make another one: vta.Environment(env.cfg.replace({key or '...'}=...))"
        )

    def __delattr__(self, name: str) -> None:
        raise ConfigError(f"env.{name} cannot be deleted: an environment is read-only")

    if TYPE_CHECKING:  # set by name above

        def __getattr__(self, name: str) -> Any: ...

    else:

        def __getattr__(self, name: str) -> NoReturn:
            if name in _NOT_PROVIDED:
                raise NotProvidedError(
                    f"env.{name} is no part of this package; {_NOT_PROVIDED[name]}"
                )
            near = get_close_matches(name, dir(self), 3) or sorted(
                item for item in dir(self) if not item.startswith("_")
            )
            raise AttributeError(f"an environment has no {name}; it has {', '.join(near)}")

    def __repr__(self) -> str:
        return f"Environment({self.MODEL})"

    @property
    def cfg_dict(self) -> dict[str, Any]:
        """A copy of the keys and values of vta_config.json."""
        return self.cfg.to_dict()

    @property
    def target(self) -> BuildTarget:
        """What ``vta.build`` builds for."""
        return BuildTarget(
            f"ext_dev -device=vta -keys=vta,cpu -model={self.MODEL}", self.target_host
        )

    @cached_property
    def compiler_target(self) -> Target:
        """The machine as schedules and passes see it."""
        return Target.from_config(self.cfg)

    @property
    def gemm(self) -> GemmIntrin:
        return replace(self.compiler_target.gemm, emit=not self.mock_mode)

    @property
    def mock(self) -> Environment:
        if self.mock_mode:
            return self
        env = type(self).__new__(type(self))
        env._set(self.cfg, mock_mode=True)
        return env

    def __enter__(self) -> Environment:
        self._outer.append(Environment.current)
        Environment.current = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        Environment.current = self._outer.pop()


def _from_variables() -> Environment:
    path = os.environ.get("VTA_CONFIG")
    cfg = VTAConfig.from_file(path) if path else VTAConfig.preset("default")
    target = os.environ.get("VTA_TARGET")
    if target:
        if wrong := wrong_target("VTA_TARGET", target):
            raise ConfigError(wrong)
        cfg = cfg.replace(target=target)
    return Environment(cfg)


def get_env() -> Environment:
    """The environment entered last with ``with``, else the one that the variables describe.

    Raises
    ------
    ConfigError
        If VTA_CONFIG or VTA_TARGET name something that cannot be.
    """
    return Environment.current or _from_variables()


def rpc_server() -> tuple[str, int] | None:
    """The server in VTA_RPC_HOST and VTA_RPC_PORT (the server's own default if that is not set);
    None if no host is.

    Raises
    ------
    ConfigError
        If the port is no number.
    """
    host, port = os.environ.get("VTA_RPC_HOST"), os.environ.get("VTA_RPC_PORT")
    if not host:
        return None
    if port and not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ConfigError(f"VTA_RPC_PORT is {port!r}; must be a number of a port, 0..65535")
    from vta.runtime.remote import DEFAULT_PORT

    return host, int(port) if port else DEFAULT_PORT


def rpc_token() -> str | None:
    """The token in VTA_RPC_TOKEN; None if it is not set."""
    return os.environ.get("VTA_RPC_TOKEN") or None
