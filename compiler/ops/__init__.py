"""The operator library: tensors, default schedules and integer references of network layers."""

from vta.compiler.ops.conv2d import conv2d
from vta.compiler.ops.operator import Operator
from vta.compiler.ops.requantise import Requantise

__all__ = ["Operator", "Requantise", "conv2d"]
