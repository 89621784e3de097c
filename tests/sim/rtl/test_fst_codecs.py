"""The compressors that stand in for lz4 and zlib in traced builds write what others can read."""

import ctypes
import random
import subprocess
import zlib
from importlib import resources

import pytest

from tests.support.lz4_block import decompress

SOURCE = """
#include <lz4.h>
#include <zlib.h>
extern "C" int lz4_bound(int n) { return LZ4_compressBound(n); }
extern "C" int lz4(const char* in, char* out, int n, int bound) {
    return LZ4_compress_default(in, out, n, bound);
}
extern "C" unsigned long zlib_bound(unsigned long n) { return compressBound(n); }
extern "C" int zlib(Bytef* out, uLongf* size, const Bytef* in, uLong n) {
    return compress2(out, size, in, n, 9);
}
"""


@pytest.fixture(scope="module")
def codecs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codecs")
    (folder / "codecs.cpp").write_text(SOURCE)
    include = resources.files("vta.sim.rtl").joinpath("csrc", "fst")
    flags = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared"]
    command = ["g++", *flags, f"-I{include}", "codecs.cpp", "-o", "codecs.so"]
    subprocess.run(command, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "codecs.so"))
    library.zlib_bound.restype = ctypes.c_ulong
    library.zlib_bound.argtypes = [ctypes.c_ulong]
    return library


def samples():
    rng = random.Random(5)
    yield b""
    yield b"a"
    yield bytes(12)
    yield bytes(13)
    yield b"0123456789abcdef" * 5000
    for size in (14, 15, 16, 18, 19, 269, 270, 271, 5000, 70000, 200_000):
        yield bytes(size)
        yield rng.randbytes(size)
        words = [rng.randbytes(rng.randrange(1, 30)) for _ in range(20)]
        yield b"".join(rng.choices(words, k=size // 15 + 1))


SAMPLES = list(samples())


@pytest.mark.parametrize("data", SAMPLES, ids=range(len(SAMPLES)))
def test_lz4(codecs, data):
    bound = codecs.lz4_bound(len(data))
    out = ctypes.create_string_buffer(bound + 1)
    size = codecs.lz4(data, out, len(data), bound)
    assert 0 < size <= bound
    block = out.raw[:size]
    assert decompress(block) == data
    if len(data) > 1000 and len(set(data)) < 20:
        assert size < len(data) / 50


@pytest.mark.parametrize("data", SAMPLES, ids=range(len(SAMPLES)))
def test_zlib(codecs, data):
    size = ctypes.c_ulong(codecs.zlib_bound(len(data)))
    bound = size.value
    out = (ctypes.c_ubyte * bound)()
    source = (ctypes.c_ubyte * len(data)).from_buffer_copy(data)
    assert codecs.zlib(out, ctypes.byref(size), source, ctypes.c_ulong(len(data))) == 0
    assert size.value <= bound
    assert zlib.decompress(bytes(out[: size.value])) == data
