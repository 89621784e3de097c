"""The tutorials' view of the configuration: ``env = vta.get_env()``.

The configuration comes from the file that the environment variable VTA_CONFIG names, else from the
preset ``default``; VTA_TARGET overrides its TARGET. The token of a remote session comes from the
variable VTA_RPC_TOKEN (:func:`rpc_token`). This is the one place where environment variables are
read, besides the command line.
"""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, GemmIntrin, Target
from vta.config import TARGETS, VTAConfig
from vta.errors import ConfigError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Environment", "get_env", "rpc_token"]

_BUFFERS = ("UOP", "INP", "WGT", "ACC", "OUT")
_TENSORS = ("INP", "WGT", "ACC", "OUT")


class Environment:
    """A configuration under the names that the tutorials use.

    Beside the attributes below: every key of vta_config.json (``TARGET``, ``LOG_BATCH`` ...),
    ``INP_WIDTH``, ``INP_ELEM_BITS``, ``INP_ELEM_BYTES``, ``INP_BUFF_SIZE`` (and WGT, ACC, OUT; UOP
    has only the last), ``BATCH``, ``BLOCK_IN``, ``BLOCK_OUT``. Widths and ELEM_BITS are in bits,
    BUFF_SIZE and ELEM_BYTES in bytes.

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

    def __init__(self, cfg: VTAConfig) -> None:
        self.cfg = cfg
        for key, value in cfg.to_dict().items():
            setattr(self, key, value)
        self.BATCH, self.BLOCK_IN, self.BLOCK_OUT = cfg.batch, cfg.block_in, cfg.block_out
        for name in _BUFFERS:
            setattr(self, f"{name}_BUFF_SIZE", 1 << getattr(cfg, f"log_{name.lower()}_buff_size"))
        for name in _TENSORS:
            lower = name.lower()
            setattr(self, f"{name}_WIDTH", getattr(cfg, f"{lower}_width"))
            setattr(self, f"{name}_ELEM_BITS", getattr(cfg, f"{lower}_elem_bits"))
            setattr(self, f"{name}_ELEM_BYTES", getattr(cfg, f"{lower}_elem_bytes"))
            setattr(self, f"{lower}_dtype", getattr(cfg, f"{lower}_dtype"))
        self.LOG_OUT_WIDTH = cfg.log_out_width
        self.LOG_OUT_BUFF_SIZE = cfg.log_out_buff_size
        self.LOG_BLOCK_IN = self.LOG_BLOCK_OUT = cfg.log_block
        self.BITSTREAM = cfg.fingerprint
        self.MODEL = f"{cfg.target}_{cfg.fingerprint}"
        self.mock_mode = False
        self.dma_copy, self.alu = "dma_copy", "alu"
        self._outer: list[Environment | None] = []

    if TYPE_CHECKING:  # set by name above

        def __getattr__(self, name: str) -> Any: ...

    def __repr__(self) -> str:
        return f"Environment({self.MODEL})"

    @property
    def cfg_dict(self) -> dict[str, Any]:
        """A copy of the keys and values of vta_config.json."""
        return self.cfg.to_dict()

    @property
    def target(self) -> str:
        """What ``vta.build`` builds for."""
        return f"ext_dev -device=vta -keys=vta,cpu -model={self.MODEL}"

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
        env = copy.copy(self)
        env.mock_mode = True
        env.dma_copy, env.alu = "skip_dma_copy", "skip_alu"
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
        if target not in TARGETS:
            raise ConfigError(f"VTA_TARGET is {target!r}; must be one of {', '.join(TARGETS)}")
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


def rpc_token() -> str | None:
    """The token in VTA_RPC_TOKEN; None if it is not set."""
    return os.environ.get("VTA_RPC_TOKEN") or None
