"""A compiled network on a device."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vta import html_tables
from vta.errors import DeviceError, NetworkError
from vta.host_operators import run_host_operator
from vta.network import JOIN, LAUNCH
from vta.run_result import Counters
from vta.runtime.buffer import release
from vta.runtime.placement import announce_run, place

if TYPE_CHECKING:
    from vta.network import Network, NetworkTensor, Step
    from vta.run_result import RunResult
    from vta.runtime.device import Device
    from vta.runtime.placement import Placement

__all__ = ["LayerRun", "NetworkModule", "NetworkRun"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LayerRun:
    """What one step of a run did.

    Attributes
    ----------
    step : Step
    result : RunResult or None
        The counters of the program; None for a step of the host.
    """

    step: Step
    result: RunResult | None

    @property
    def cycles(self) -> int | None:
        """Clock cycles; None on the host, and on a device without a clock."""
        return None if self.result is None else self.result.cycle_count

    @property
    def bytes_moved(self) -> int:
        """Bytes between the machine and its memory."""
        return 0 if self.step.program is None else self.step.program.dram_bytes


@dataclass(frozen=True)
class NetworkRun:
    """One run of a network.

    Attributes
    ----------
    outputs : dict of str to ndarray
        By name, in the order of the model.
    layers : tuple of LayerRun
        In the order in which they ran.
    """

    outputs: dict[str, Array]
    layers: tuple[LayerRun, ...]

    @property
    def cycles(self) -> int | None:
        """Clock cycles of all programs; None on a device without a clock."""
        counts = [layer.result.cycle_count for layer in self.layers if layer.result is not None]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def counters(self) -> Counters:
        """The sum of the counters of all programs."""
        return sum(
            (layer.result.counters for layer in self.layers if layer.result is not None), Counters()
        )

    def _repr_html_(self) -> str:
        rows = [
            (layer.step.name, layer.step.operator, layer.step.where, layer.cycles,
             None if layer.result is None else layer.result.counters.gemm_counter,
             layer.bytes_moved or None)
            for layer in self.layers
        ]  # fmt: skip
        titles = ["layer", "operator", "where", "cycles", "products", "bytes"]
        total = ("total", "", "", self.cycles, self.counters.gemm_counter, None)
        return html_tables.table(titles, [*rows, total])


class NetworkModule:
    """A network that can be called. Weights and programs are written to the device once.

    Parameters
    ----------
    network : Network
    device : Device
    owner : object
        Kept alive with the module: the session that the device belongs to.

    Raises
    ------
    ProgramError
        If the network was compiled for another machine.
    DeviceError
        If the device has no memory for it.
    """

    def __init__(self, network: Network, device: Device, owner: object = None) -> None:
        network.require_machine(device.cfg)
        self.network, self.device, self._owner = network, device, owner
        self._placements: list[Placement | None] = [
            None if step.program is None else place(step.program, device) for step in network.steps
        ]
        self._base = device.alloc(max(network.arena, 1))
        self._finalizer = weakref.finalize(self, release, device, self._base)
        for tensor in network.tensors.values():
            if tensor.values is not None and tensor.offset is not None:
                self._write(tensor, tensor.values)

    def __repr__(self) -> str:
        return f"NetworkModule({self.network.name}, {len(self.network.steps)} steps)"

    def free(self) -> None:
        """Give the device's memory back now; a later call is a DeviceError."""
        self._finalizer()

    def __call__(
        self, *arrays: npt.ArrayLike | Mapping[str, npt.ArrayLike], **named: npt.ArrayLike
    ) -> dict[str, Array]:
        """The outputs by name.

        Parameters
        ----------
        *arrays : array_like, or one mapping of str to array_like
            The inputs in the order of the model, or by name.
        **named : array_like
            Inputs by name.

        Raises
        ------
        NetworkError, DeviceError
            As :meth:`run`.
        """
        return self.run(self._inputs(arrays, named)).outputs

    def _inputs(
        self, arrays: tuple[Any, ...], named: Mapping[str, npt.ArrayLike]
    ) -> dict[str, npt.ArrayLike]:
        names = self.network.inputs
        if len(arrays) == 1 and isinstance(arrays[0], Mapping):
            return {**arrays[0], **named}
        if len(arrays) > len(names):
            raise NetworkError(
                f"{self.network.name}: {len(arrays)} inputs; must be {len(names)}: "
                f"{', '.join(names)}"
            )
        return {**dict(zip(names, arrays)), **named}

    def run(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        *,
        observe: Callable[[str, Array], None] | None = None,
        progress: Callable[[Step, int], None] | None = None,
    ) -> NetworkRun:
        """Run once.

        Parameters
        ----------
        inputs : mapping of str to array_like
            A value for each input, of its shape and dtype; nothing is converted.
        observe : callable or None
            ``observe(name, values)`` is called with each tensor when it is computed, in the layout
            in which it lies in memory; this costs a copy to the host. Inner tensors of a launch
            are not shown: later ones may have overwritten them.
        progress : callable or None
            ``progress(step, number)`` is called before each step.

        Returns
        -------
        NetworkRun

        Raises
        ------
        NetworkError
            If an input is missing, unknown, or of another shape or dtype.
        DeviceError
            If a program fails; the message names the step.
        """
        if not self._finalizer.alive:
            raise DeviceError(f"network {self.network.name}: used after free()")
        values = self._checked(inputs)
        layers = []
        for number, (step, placement) in enumerate(zip(self.network.steps, self._placements)):
            if progress is not None:
                progress(step, number)
            result = None
            if step.operator == JOIN:
                pass  # what computed the inputs has computed the output
            elif placement is None:
                self._keep(step.output, self._host(step, values), values)
            else:
                result = self._program(step, placement)
            layers.append(LayerRun(step, result))
            if observe is not None:
                observe(step.output, self._value(step.output, values))
        outputs = {name: self._value(name, values) for name in self.network.outputs}
        return NetworkRun(outputs, tuple(layers))

    def _checked(self, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """The values of the inputs; those that programs read are written to the device."""
        name = self.network.name
        if not isinstance(inputs, Mapping):
            raise NetworkError(
                f"{name}: inputs are of type {type(inputs).__name__}; must be a mapping of names "
                f"to arrays (the module itself takes arrays: net(x))"
            )
        for given in inputs:
            if given not in self.network.inputs:
                raise NetworkError(
                    f"{name}: no input {given}; there are {', '.join(self.network.inputs)}"
                )
        values: dict[str, Array] = {}
        for wanted in self.network.inputs:
            tensor = self.network.tensors[wanted]
            need = f"{tensor.dtype} of shape {tensor.shape}"
            if wanted not in inputs:
                raise NetworkError(f"{name}: input {wanted} is missing; must be {need}")
            value = np.asarray(inputs[wanted])
            if value.shape != tensor.shape or value.dtype != np.dtype(tensor.dtype):
                raise NetworkError(
                    f"{name}: input {wanted} is {value.dtype} of shape {value.shape}; must be "
                    f"{need}"
                )
            self._keep(wanted, value, values)
        return values

    def _host(self, step: Step, values: Mapping[str, Array]) -> Array:
        arrays = [self._value(name, values) for name in step.inputs]
        try:
            return run_host_operator(step.operator, arrays, step.attributes)
        except NetworkError as error:
            raise NetworkError(f"{self.network.name}: step {step.name}: {error}") from None

    def _program(self, step: Step, placement: Placement) -> RunResult:
        if step.operator == LAUNCH:
            addresses = [self._base]
        else:
            addresses = [self._address(name) for name in (*step.inputs, step.output)]
        assert step.program is not None
        announce_run(step.program, self.device)
        try:
            result = placement.run(addresses)
        except DeviceError as error:
            raise DeviceError(f"{self.network.name}: step {step.name}: {error}") from error
        left = {name: count for name, count in result.tokens.items() if count}
        if left:
            raise DeviceError(f"{self.network.name}: step {step.name} left tokens behind: {left}")
        return result

    # ---- tensors -----------------------------------------------------------------------------

    def _address(self, name: str) -> int:
        offset = self.network.tensors[name].offset
        assert offset is not None, name
        return self._base + offset

    def _write(self, tensor: NetworkTensor, values: Array) -> None:
        self.device.write(self._address(tensor.name), np.ascontiguousarray(values).tobytes())

    def _keep(self, name: str, value: Array, values: dict[str, Array]) -> None:
        """Store a tensor that the host has made: on the device, if a program reads it."""
        tensor = self.network.tensors[name]
        if value.shape != tensor.shape or value.dtype != np.dtype(tensor.dtype):
            raise NetworkError(
                f"{self.network.name}: {name} is {value.dtype} of shape {value.shape}; must be "
                f"{tensor.dtype} of shape {tensor.shape}"
            )
        values[name] = value
        if tensor.offset is not None:
            self._write(tensor, value)

    def _value(self, name: str, values: Mapping[str, Array]) -> Array:
        """A tensor as the host sees it."""
        tensor = self.network.tensors[name]
        if tensor.values is not None:
            return tensor.values
        if name in values:
            return values[name]
        data = self.device.read(self._address(name), tensor.nbytes)
        return np.frombuffer(data, tensor.dtype).reshape(tensor.shape)
