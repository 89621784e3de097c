"""Decompression of LZ4 blocks, from the description of the format."""


def decompress(block):
    """The bytes that an LZ4 block stands for; raises ValueError if it is none."""
    out = bytearray()
    at = 0

    def more(count):
        nonlocal at
        if count == 15:
            while True:
                byte = block[at]
                at += 1
                count += byte
                if byte != 255:
                    break
        return count

    while True:
        token = block[at]
        at += 1
        literals = more(token >> 4)
        if at + literals > len(block):
            raise ValueError("literals beyond the end of the block")
        out += block[at : at + literals]
        at += literals
        if at == len(block):
            return bytes(out)
        distance = int.from_bytes(block[at : at + 2], "little")
        at += 2
        if not 0 < distance <= len(out):
            raise ValueError(f"distance {distance} after {len(out)} bytes")
        for _ in range(more(token & 15) + 4):
            out.append(out[-distance])
