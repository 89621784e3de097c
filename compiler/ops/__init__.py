"""The operator library: tensors, default schedules and integer references of network layers."""

from vta.compiler.ops.conv2d import conv2d
from vta.compiler.ops.elementwise import weighted_sum
from vta.compiler.ops.operator import Operator
from vta.compiler.ops.pooling import max_pool, sum_pool
from vta.compiler.ops.requantise import Requantise

__all__ = ["Operator", "Requantise", "conv2d", "max_pool", "sum_pool", "weighted_sum"]
