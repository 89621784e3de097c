"""The instruction set: typed instructions, their bits, their text, the tokens between them."""

from vta.isa.alu_operations import (
    RUN_OPERATIONS,
    AluOpcode,
)
from vta.isa.capabilities import (
    Capability,
    alu_operations_of,
    capabilities_of,
    needed_by,
)
from vta.isa.disassembly import (
    disassemble,
)
from vta.isa.encoding import (
    IMM_BITS,
    INSN_BITS,
    MAX_PAD_DRAM_BASE,
    MAX_TRANSFER_PAD,
    MAX_TRANSFER_SIZE,
    PAD_VALUE_MEMORIES,
    UOP_BITS,
    IllegalEncodingError,
    Isa,
)
from vta.isa.formats import (
    Field,
    Format,
)
from vta.isa.instructions import (
    Alu,
    Finish,
    Gemm,
    Instruction,
    Load,
    MemId,
    MicroOpLoop,
    Opcode,
    PipelineModule,
    Store,
    Transfer,
    Uop,
)
from vta.isa.requantisation import (
    LIMITS,
    SCALE,
    Limits,
    Scale,
)
from vta.isa.tokens import (
    TOKEN_FLAGS,
    TOKEN_QUEUES,
    TokenCounts,
    TokenQueue,
    token_queue,
)

__all__ = [
    "IMM_BITS",
    "INSN_BITS",
    "LIMITS",
    "MAX_PAD_DRAM_BASE",
    "MAX_TRANSFER_PAD",
    "MAX_TRANSFER_SIZE",
    "PAD_VALUE_MEMORIES",
    "RUN_OPERATIONS",
    "SCALE",
    "TOKEN_FLAGS",
    "TOKEN_QUEUES",
    "UOP_BITS",
    "Alu",
    "AluOpcode",
    "Capability",
    "Field",
    "Finish",
    "Format",
    "Gemm",
    "IllegalEncodingError",
    "Instruction",
    "Isa",
    "Limits",
    "Load",
    "MemId",
    "MicroOpLoop",
    "Opcode",
    "PipelineModule",
    "Scale",
    "Store",
    "TokenCounts",
    "TokenQueue",
    "Transfer",
    "Uop",
    "alu_operations_of",
    "capabilities_of",
    "disassemble",
    "needed_by",
    "token_queue",
]
