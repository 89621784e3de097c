"""What a worker computes: cycles of a schedule by the timing model, or by a run on a device.

Arguments and results are plain values, so that any process with the same version can do it. Each
function gives the same result for the same arguments on every computer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops.cost import Tiling, estimate
from vta.config import VTAConfig
from vta.errors import CompileError
from vta.memory_timing import MemoryTiming
from vta.tuning.workload import Workload, inputs_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vta.compiler.ops.operator import Operator
    from vta.program import Program
    from vta.runtime.session import Session

__all__ = ["Job", "measure", "model_cycles"]

Job = dict[str, Any]
"""``workload``, ``tiling``, ``machine``, ``memory``: as in an entry of the log."""


def model_cycles(job: Job, limit: float | None) -> dict[str, Any]:
    """The cycles of a schedule by the timing model.

    Parameters
    ----------
    job : dict
    limit : float or None
        Cycles by the tiler's model, which takes milliseconds, above which the schedule is given up.

    Returns
    -------
    dict
        ``{"cycles": number, "estimate": number}``, the second by the tiler's model; ``{"pruned":
        limit}``; or ``{"refused": text}`` if the compiler refuses the schedule.
    """
    from vta.sim.timing import estimate as timing

    workload, tiling, cfg = _parts(job)
    cost = estimate(workload.shape, tiling, cfg, limit, MemoryTiming.of(job["memory"]))
    if cost is None or (limit is not None and cost.cycles > limit):
        return {"pruned": limit}
    try:
        _, program = _compiled(workload, tiling, cfg)
    except CompileError as error:
        return {"refused": str(error)}
    return {"cycles": timing(program, job["memory"]).cycles, "estimate": cost.cycles}


def measure(job: Job, target: str, seed: int) -> dict[str, Any]:
    """A run of a schedule on a device.

    Parameters
    ----------
    job : dict
    target : str
        ``tsim``, or the board of this computer.
    seed : int
        Of the inputs (:func:`vta.tuning.workload.inputs_of`).

    Returns
    -------
    dict
        ``{"cycles": number, "tiles": ndarray}``: the result in tiles, as the device left it; or
        ``{"refused": text}``.

    Raises
    ------
    DeviceError
        If the run fails.
    """
    from vta.runtime import CompiledModule, array, empty

    workload, tiling, cfg = _parts(job)
    try:
        op, program = _compiled(workload, tiling, cfg)
    except CompileError as error:
        return {"refused": str(error)}
    device = _session(_frozen(cfg), target, job["memory"]).ext_dev(0)
    buffers = [array(tiles, device) for tiles in op.pack(*inputs_of(op, seed))]
    out = empty(op.args[-1].shape, op.args[-1].dtype, device)
    run = CompiledModule(program, device)(*buffers, out)
    tiles: npt.NDArray[np.integer[Any]] = out.numpy()
    return {"cycles": int(run.cycle_count or 0), "tiles": tiles}


def _parts(job: Job) -> tuple[Workload, Tiling, VTAConfig]:
    workload, tiling = Workload.from_dict(job["workload"]), Tiling.from_dict(job["tiling"])
    return workload, tiling, VTAConfig.from_dict(job["machine"])


def _compiled(workload: Workload, tiling: Tiling, cfg: VTAConfig) -> tuple[Operator, Program]:
    op = workload.operator(cfg, tiling)
    return op, compile_func(lower(op.schedule, op.args, op.name), cfg)


def _frozen(cfg: VTAConfig) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(cfg.to_dict().items()))


@lru_cache(maxsize=4)
def _session(machine: tuple[tuple[str, Any], ...], target: str, memory: str) -> Session:
    """A session that stays open: a simulated machine starts once a process."""
    from vta.rpc import LocalSession

    cfg = VTAConfig.from_dict(dict(machine)).replace(target=target)
    options = {"memory_preset": memory} if target == "tsim" else {}
    return LocalSession(cfg, **options)
