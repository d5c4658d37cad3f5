// Vectors of floats that GCC and Clang compile for any CPU: as wide as its registers, no intrinsics.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;  // SSE2, NEON
#endif

// A wider type than the registers, or one with a looser alignment, is several times slower in GCC:
// loads and stores go through memcpy instead, which compiles to one unaligned instruction.
typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

static inline vec load(const float *p) { vec v; std::memcpy(&v, p, sizeof v); return v; }
static inline void store(float *p, vec v) { std::memcpy(p, &v, sizeof v); }

// The same for the last block of a row, which may be cut: lanes from `width` on are zero.
static inline vec load(const float *p, int64_t width) {
    if (width >= LANES) return load(p);
    vec v = {};
    std::memcpy(&v, p, 4 * width);
    return v;
}
static inline void store(float *p, vec v, int64_t width) {
    if (width >= LANES) store(p, v);
    else std::memcpy(p, &v, 4 * width);
}

static inline float sum(vec v) {
    float lanes[LANES], total = 0;
    std::memcpy(lanes, &v, sizeof v);
    for (int i = 0; i < LANES; i++) total += lanes[i];
    return total;
}

// e^x to 2e-7: x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial for e^r (Cephes), n into the exponent.
// 0 below -87, where e^x leaves the normal numbers; capped at e^88; NaN stays NaN.
static inline vec exp(vec x) {
    const float ROUND = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    vec low = vec{} - 87.0f, high = vec{} + 88.0f;
    ivec vanished = x < low;
    x = x < low ? low : x;
    x = x > high ? high : x;
    vec shifted = x * 1.44269504088896341f + ROUND;
    vec n = shifted - ROUND;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    ivec bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;  // the low bits of `shifted` are n
    vec scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return vanished ? vec{} : p * scale;
}
