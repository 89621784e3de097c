"""A read after a write that issue does not see."""

FILE = "compute/issue_request.py"
OLD = "return Cat(waw, war, raw, uop_hazard)"
NEW = "return Cat(waw, war, 0, uop_hazard)"
KIND = "RAW"
EXPLANATION = """
Instruction 3, a GEMM, writes sums that instruction 4, an ALU ADD, reads as src. The two units run
side by side. Without the RAW hazard the ALU is issued while the GEMM is still executing, and reads
the old value of acc[5].
"""
