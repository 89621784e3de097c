"""A read after a write that issue does not see."""

FILE = "compute/issue_request.py"
OLD = "overlap(younger.reads, older.reads)"
NEW = "overlap(younger.writes, older.reads)"
KIND = "RAW"
EXPLANATION = """
Instruction 3, a GEMM, writes sums that instruction 4, an ALU ADD, reads as src. The two units run
side by side. Without the RAW hazard the ALU is issued while the GEMM is still executing, and reads
the old value of acc[5].
"""
