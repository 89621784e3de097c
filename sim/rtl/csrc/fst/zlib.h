// Stands in for the zlib library, so that writing waves needs nothing beyond a C++ compiler: the
// two functions that Verilator's FST writer calls, for the small tables of a file. Data is wrapped,
// not compressed (zlib's "stored" blocks); the writer then keeps the original, which is smaller.
#pragma once

#include <cstdint>
#include <cstring>

using Byte = unsigned char;
using Bytef = Byte;
using uLong = unsigned long;
using uLongf = uLong;

constexpr int Z_OK = 0;
constexpr uLong ZLIB_STORED_BLOCK = 65535;

inline uLong compressBound(uLong size) { return 2 + size + 5 * (size / ZLIB_STORED_BLOCK + 1) + 4; }

inline int compress2(Bytef* target, uLongf* target_size, const Bytef* source, uLong size,
                     int /*level*/) {
    Bytef* out = target;
    uint32_t low = 1, high = 0;  // Adler-32
    for (uLong i = 0; i < size; ++i) {
        low = (low + source[i]) % 65521;
        high = (high + low) % 65521;
    }
    *out++ = 0x78;
    *out++ = 0x01;
    do {
        const uLong length = size < ZLIB_STORED_BLOCK ? size : ZLIB_STORED_BLOCK;
        size -= length;
        *out++ = size == 0;  // last block
        *out++ = static_cast<Byte>(length);
        *out++ = static_cast<Byte>(length >> 8);
        *out++ = static_cast<Byte>(~length);
        *out++ = static_cast<Byte>(~length >> 8);
        if (length) std::memcpy(out, source, length);
        out += length;
        source += length;
    } while (size);
    for (const uint32_t half : {high, low}) {
        *out++ = static_cast<Byte>(half >> 8);
        *out++ = static_cast<Byte>(half);
    }
    *target_size = static_cast<uLongf>(out - target);
    return Z_OK;
}
