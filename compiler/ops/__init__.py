"""The operator library: tensors, default schedules and integer references of network layers."""

from vta.compiler.ops.conv2d import conv2d
from vta.compiler.ops.conv2d_transpose import conv2d_transpose
from vta.compiler.ops.cost import Cost, Tiling
from vta.compiler.ops.dense import batch_matmul, dense
from vta.compiler.ops.elementwise import weighted_sum
from vta.compiler.ops.operator import Operand, Operator
from vta.compiler.ops.pooling import max_pool, sum_pool
from vta.compiler.ops.requantise import Requantise

__all__ = [
    "Cost", "Operand", "Operator", "Requantise", "Tiling", "batch_matmul", "conv2d",
    "conv2d_transpose", "dense", "max_pool", "sum_pool", "weighted_sum",
]  # fmt: skip
