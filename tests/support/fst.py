"""The times and the signals of a wave file, from the description of the FST format."""

import struct

from tests.support.lz4_block import decompress

HEADER, GEOMETRY, HIERARCHY, VALUES = 0, 3, 6, 8
_SCOPE, _UPSCOPE, _ATTRIBUTE, _ATTRIBUTE_END = 254, 255, 252, 253


def blocks(content):
    """Type and payload of each block of an FST file."""
    while content:
        kind, size = content[0], int.from_bytes(content[1:9], "big")
        yield kind, content[9 : 1 + size]
        content = content[1 + size :]


def times(content):
    """The first and the last time with values, in the unit of the file."""
    return struct.unpack(">QQ", dict(blocks(content))[HEADER][:16])


def hierarchy(content):
    """The block with the names, decompressed."""
    block = dict(blocks(content))[HIERARCHY]
    names = decompress(block[8:])
    assert len(names) == int.from_bytes(block[:8], "big")
    return bytes(names)


def signals(content):
    """The signals by their paths, buses with their range: ``TOP.core.bus[3:0]``."""
    names, at, scopes, found = hierarchy(content), 0, [], set()

    def text():
        nonlocal at
        end = names.index(0, at)
        value, at = names[at:end].decode(), end + 1
        return value

    def number():
        nonlocal at
        while names[at] & 0x80:
            at += 1
        at += 1

    while at < len(names):
        tag = names[at]
        at += 1
        if tag == _SCOPE:
            at += 1
            scopes.append(text())
            text()
        elif tag == _UPSCOPE:
            scopes.pop()
        elif tag == _ATTRIBUTE:
            at += 2
            text()
            number()
        elif tag != _ATTRIBUTE_END:
            at += 1
            found.add(".".join([*scopes, text().replace(" ", "")]))
            number()
            number()
    return found
