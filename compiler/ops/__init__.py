"""The operator library: tensors, default schedules and integer references of network layers."""

from vta.compiler.ops.activation import clip, leaky_relu, prelu, relu, relu6
from vta.compiler.ops.arithmetic import add, multiply
from vta.compiler.ops.average_pool import average_pool, global_average_pool
from vta.compiler.ops.conv2d import conv2d
from vta.compiler.ops.conv2d_transpose import conv2d_transpose
from vta.compiler.ops.cost import Cost, Tiling
from vta.compiler.ops.dense import batch_matmul, dense
from vta.compiler.ops.elementwise import weighted_sum
from vta.compiler.ops.lookup import HostOperator, lookup, table_of
from vta.compiler.ops.movement import pad, upsample
from vta.compiler.ops.operator import Operand, Operator
from vta.compiler.ops.pooling import max_pool, sum_pool
from vta.compiler.ops.requantise import OnePass, Requantise, WholeSums, choose_scales
from vta.compiler.ops.residual import Residual
from vta.compiler.ops.views import Views, concat, slice_channels

__all__ = [
    "Cost", "HostOperator", "OnePass", "Operand", "Operator", "Requantise", "Residual",
    "Tiling", "Views",
    "WholeSums", "add", "average_pool", "batch_matmul", "choose_scales", "clip", "concat", "conv2d",
    "conv2d_transpose", "dense",
    "global_average_pool", "leaky_relu", "lookup", "max_pool", "multiply", "pad", "prelu", "relu",
    "relu6", "slice_channels", "sum_pool", "table_of", "upsample", "weighted_sum",
]  # fmt: skip
