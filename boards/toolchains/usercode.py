"""The 32 bits that mark the bitstream of a design, in the field that each format has for them."""

import hashlib

__all__ = ["usercode", "usercode_digits"]


def usercode(verilog: str) -> int:
    """The first 32 bits of the SHA-256 of the design's Verilog.

    It is the answer to JTAG's USERCODE, and Vivado's UserID: it identifies the design of a
    bitstream.
    """
    return int.from_bytes(hashlib.sha256(verilog.encode()).digest()[:4], "big")


def usercode_digits(verilog: str) -> str:
    """The same as 8 hexadecimal digits in upper case."""
    return f"{usercode(verilog):08X}"
