// Stands in for the lz4 library, so that writing waves needs nothing beyond a C++ compiler: the two
// functions that Verilator's FST writer calls. A small greedy compressor; its output is plain LZ4
// block format.
//
// A block is a row of sequences: a token (literal count, match length - 4; 15 means more bytes
// follow), the literals, the 16-bit distance of the match. The last sequence has literals only; by
// the format's rules it holds at least the last 5 bytes, and no match begins in the last 12.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

inline int LZ4_compress_default(const char* source, char* target, int size,
                                int /*capacity: LZ4_compressBound*/) {
    constexpr int MIN_MATCH = 4, LAST_LITERALS = 5, NO_MATCH_FROM = 12, HASH_BITS = 14,
                  MAX_DISTANCE = 65535;
    std::vector<int> table(1 << HASH_BITS, -1);  // hash of 4 bytes -> where they were last seen
    const auto* in = reinterpret_cast<const uint8_t*>(source);
    auto* out = reinterpret_cast<uint8_t*>(target);

    auto four = [&](int at) {
        uint32_t word;
        std::memcpy(&word, in + at, sizeof word);
        return word;
    };
    auto more = [&](int count) {  // what does not fit the token's nibble
        for (count -= 15; count >= 0; count -= 255)
            *out++ = static_cast<uint8_t>(count < 255 ? count : 255);
    };
    auto nibble = [](int count) { return count < 15 ? count : 15; };
    auto literals = [&](int from, int to, int match_nibble) {
        *out++ = static_cast<uint8_t>(nibble(to - from) << 4 | match_nibble);
        more(to - from);
        if (to > from) std::memcpy(out, in + from, to - from);
        out += to - from;
    };

    int anchor = 0;
    for (int at = 0; at + NO_MATCH_FROM <= size;) {
        int& seen = table[four(at) * 2654435761u >> (32 - HASH_BITS)];
        const int candidate = seen;
        seen = at;
        if (candidate < 0 || at - candidate > MAX_DISTANCE || four(candidate) != four(at)) {
            ++at;
            continue;
        }
        int length = MIN_MATCH;
        while (at + length < size - LAST_LITERALS && in[candidate + length] == in[at + length])
            ++length;
        literals(anchor, at, nibble(length - MIN_MATCH));
        *out++ = static_cast<uint8_t>(at - candidate);
        *out++ = static_cast<uint8_t>((at - candidate) >> 8);
        more(length - MIN_MATCH);
        at += length;
        anchor = at;
    }
    literals(anchor, size, 0);
    return static_cast<int>(reinterpret_cast<char*>(out) - target);
}
