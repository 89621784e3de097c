"""From a model file to a compiled network, and from its file to a module that can be called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from vta.compiler.graph.compile_network import compile_network
from vta.compiler.graph.passes import RUN_BY_HOST_ALWAYS
from vta.compiler.graph.pipeline import integer_graph
from vta.compiler.ops.requantise import one_pass_on
from vta.environment import get_env
from vta.errors import ModelError, NetworkError
from vta.network_cache import cached_network, key_of
from vta.network_file import load_network
from vta.preprocessing import CLASSES, METADATA, Preprocessing
from vta.runtime.network import NetworkModule

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.network import Network
    from vta.runtime.device import Device
    from vta.tuning.schedule_log import LoggedTilings

__all__ = ["compile_model", "load", "require_no_host"]


def compile_model(
    path: str | Path,
    *,
    cfg: VTAConfig | None = None,
    name: str | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    join_programs: bool = False,
    cached: bool = False,
    schedules: LoggedTilings | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Network:
    """The network of a quantised ONNX model.

    Parameters
    ----------
    path : path
        An ONNX file, quantised to int8 (QuantizeLinear and DequantizeLinear, or QLinear operators).
    cfg : VTAConfig or None
        The machine; None: that of :func:`vta.get_env`.
    name : str or None
        Of the network; None: that of the file.
    shapes : mapping of str to sequence of int
        Shapes of inputs that the file leaves open.
    join_programs : bool
        Programs that no step of the host separates become one: fewer cycles, but the counters of a
        run are those of all its nodes together.
    cached : bool
        Whether a network that was compiled before is taken from the cache folder, and a new one
        kept there (:mod:`vta.network_cache`).
    schedules : LoggedTilings or None
        Schedules of a log (:meth:`vta.tuning.ScheduleLog.tilings`) for the layers that it has; the
        results are the same.
    progress : callable or None
        ``progress(name, number, count)`` is called before each node is compiled.

    Raises
    ------
    ModelError
        If the model cannot be read, is not quantised, or has a node that is not supported or does
        not fit the machine.
    vta.preprocessing.PreprocessingError
        If the model's metadata describe no preprocessing.
    ToolError
        If the package ``onnx`` is not installed.
    """
    from vta.compiler.frontend.onnx_import import import_model
    from vta.compiler.frontend.onnx_model import read_model

    model = read_model(path)
    known = {entry.key: entry.value for entry in model.metadata_props}
    preprocessing = known.get(METADATA, "")
    if preprocessing:
        Preprocessing.from_text(preprocessing, f"metadata of {path}")
    name, cfg = name or Path(path).stem, cfg or get_env().cfg

    def make() -> Network:
        floats = import_model(model, name, shapes)
        graph = integer_graph(floats, one_pass=one_pass_on(cfg))
        network = compile_network(
            graph, cfg, join_programs=join_programs, tilings=schedules, progress=progress
        )
        classes = tuple(known.get(CLASSES, "").splitlines())
        return replace(network, preprocessing=preprocessing, classes=classes)

    if not cached:
        return make()
    options = {
        "name": name,
        "shapes": {key: list(shape) for key, shape in (shapes or {}).items()},
        "join_programs": join_programs,
        "onnx": version("onnx"),
        "schedules": None if schedules is None else schedules.digest,
    }
    return cached_network(key_of(model.SerializeToString(deterministic=True), cfg, options), make)


def load(path: str | Path, device: Device | None = None) -> NetworkModule:
    """The network in a ``.vtanet`` file, ready to be called; nothing in it is executed.

    ``vta.load("net.vtanet")(x)`` gives the outputs by name.

    Parameters
    ----------
    path : path
        What ``vta compile`` has written.
    device : Device or None
        Where it runs; None: a new session with the TARGET of the configuration that it was compiled
        for.

    Raises
    ------
    NetworkError
        If the file is no network, or one for another machine.
    DeviceError
        If there is no such device, or no memory for the network.
    """
    from vta.runtime.session import LocalSession

    if Path(path).suffix.lower() == ".onnx":
        raise NetworkError(
            f"{path} is an ONNX model; `vta compile` makes a network of it (in Python, "
            f"vta.networks.compile_model)"
        )
    network = load_network(path)
    if device is not None:
        return NetworkModule(network, device)
    session = LocalSession(network.cfg)
    return NetworkModule(network, session.ext_dev(0), session)


def require_no_host(network: Network) -> None:
    """Refuse a network of which the host computes more than its borders: the change between real
    numbers and integers, and between the layouts of the host and of the machine.

    Raises
    ------
    ModelError
        Naming the nodes.
    """
    found = [
        f"{step.name} ({step.operator})"
        for step in network.host_steps
        if step.operator not in RUN_BY_HOST_ALWAYS
    ]
    if found:
        raise ModelError(f"{network.name}: the host would run {', '.join(found)}")
