// The recurrence of Mamba-2, and its gradient, a step at a time with the state in registers.
//
//     h_t = d_t h_{t-1} + B_t v_t^T          y_t = C_t^T h_t          d_t: one decay a head
//
// Shapes, all contiguous: v, y (rows, S, K, P);  d (rows, S, K);  B, C (rows, S, N);
// h (rows, N, K, P). Lanes are the channels P of one head, so nothing is summed across lanes but
// the gradients of d, B and C.
#include <algorithm>
#include <vector>
#include "vector.h"

namespace {

constexpr int CHUNK = 16;  // steps between two kept states; the backward pass recomputes the others

struct Sizes {
    int64_t S, K, P, N;
    int64_t width() const { return K * P; }
    int64_t chunks() const { return (S + CHUNK - 1) / CHUNK; }
};

// Calls work(head, first channel, lanes in use, block's number) for all blocks of channels.
template <class Work>
void for_each_block(Sizes z, Work work) {
    int64_t block = 0;
    for (int64_t head = 0; head < z.K; head++)
        for (int64_t p = 0; p < z.P; p += LANES, block++)
            work(head, head * z.P + p, z.P - p, block);
}

// N is known to the compiler where FIXED is not 0: the state then lives in registers.
template <int FIXED>
void forward_row(const float *v, const float *d, const float *B, const float *C, const float *h0,
                 float *y, float *kept, float *last, Sizes z) {
    const int64_t N = FIXED ? FIXED : z.N, E = z.width();
    std::vector<vec> memory(FIXED ? 0 : N);
    vec registers[FIXED ? FIXED : 1];
    vec *h = FIXED ? registers : memory.data();
    for_each_block(z, [&](int64_t head, int64_t e, int64_t lanes, int64_t) {
        for (int64_t n = 0; n < N; n++) h[n] = load(h0 + n * E + e, lanes);
        for (int64_t t = 0; t < z.S; t++) {
            if (t % CHUNK == 0)
                for (int64_t n = 0; n < N; n++)
                    store(kept + ((t / CHUNK) * N + n) * E + e, h[n], lanes);
            const vec in = load(v + t * E + e, lanes);
            const float decay = d[t * z.K + head];
            vec out = {};
            for (int64_t n = 0; n < N; n++) {
                h[n] = decay * h[n] + in * B[t * N + n];
                out += h[n] * C[t * N + n];
            }
            store(y + t * E + e, out, lanes);
        }
        for (int64_t n = 0; n < N; n++) store(last + n * E + e, h[n], lanes);
    });
}

template <int FIXED>
void backward_row(const float *v, const float *d, const float *B, const float *C,
                  const float *kept, const float *d_y, const float *d_last, float *d_v, float *d_d,
                  float *d_B, float *d_C, float *d_h0, Sizes z) {
    const int64_t N = FIXED ? FIXED : z.N, E = z.width();
    const int64_t blocks = z.K * ((z.P + LANES - 1) / LANES);
    std::vector<vec> states((CHUNK + 1) * N), of_B(CHUNK * N), of_C(CHUNK * N), carried(blocks * N);
    for_each_block(z, [&](int64_t, int64_t e, int64_t lanes, int64_t block) {
        for (int64_t n = 0; n < N; n++) carried[block * N + n] = load(d_last + n * E + e, lanes);
    });
    std::memset(d_d, 0, 4 * z.S * z.K);
    for (int64_t c = z.chunks() - 1; c >= 0; c--) {
        const int64_t start = c * CHUNK, steps = std::min<int64_t>(CHUNK, z.S - start);
        std::fill(of_B.begin(), of_B.end(), vec{});
        std::fill(of_C.begin(), of_C.end(), vec{});
        for_each_block(z, [&](int64_t head, int64_t e, int64_t lanes, int64_t block) {
            vec *h = states.data(), *d_h = &carried[block * N];
            for (int64_t n = 0; n < N; n++) h[n] = load(kept + (c * N + n) * E + e, lanes);
            for (int64_t i = 0; i < steps; i++, h += N) {
                const int64_t t = start + i;
                const vec in = load(v + t * E + e, lanes);
                const float decay = d[t * z.K + head];
                for (int64_t n = 0; n < N; n++) h[N + n] = decay * h[n] + in * B[t * N + n];
            }
            for (int64_t i = steps - 1; i >= 0; i--) {
                h -= N;  // h[n] before the step, h[N + n] after it
                const int64_t t = start + i;
                const vec in = load(v + t * E + e, lanes), g = load(d_y + t * E + e, lanes);
                const float decay = d[t * z.K + head];
                vec d_in = {}, d_decay = {};
                for (int64_t n = 0; n < N; n++) {
                    const vec now = d_h[n] + g * C[t * N + n];
                    of_C[i * N + n] += g * h[N + n];
                    of_B[i * N + n] += now * in;
                    d_in += now * B[t * N + n];
                    d_decay += now * h[n];
                    d_h[n] = now * decay;
                }
                store(d_v + t * E + e, d_in, lanes);
                d_d[t * z.K + head] += sum(d_decay);
            }
        });
        for (int64_t i = 0; i < steps * N; i++) {
            d_B[start * N + i] = sum(of_B[i]);
            d_C[start * N + i] = sum(of_C[i]);
        }
    }
    for_each_block(z, [&](int64_t, int64_t e, int64_t lanes, int64_t block) {
        for (int64_t n = 0; n < N; n++) store(d_h0 + n * E + e, carried[block * N + n], lanes);
    });
}

}  // namespace

extern "C" {

// kept: (rows, chunks of 16 steps, N, K, P), the state before each chunk, for the backward pass.
void forward(int64_t first, int64_t last, const float *v, const float *d, const float *B,
             const float *C, const float *h0, float *y, float *kept, float *h, int64_t S, int64_t K,
             int64_t P, int64_t N) {
    const Sizes z{S, K, P, N};
    const int64_t E = z.width();
    const auto row = N == 16 ? forward_row<16> : forward_row<0>;
    for (int64_t b = first; b < last; b++)
        row(v + b * S * E, d + b * S * K, B + b * S * N, C + b * S * N, h0 + b * N * E,
            y + b * S * E, kept + b * z.chunks() * N * E, h + b * N * E, z);
}

void backward(int64_t first, int64_t last, const float *v, const float *d, const float *B,
              const float *C, const float *kept, const float *d_y, const float *d_h, float *d_v,
              float *d_d, float *d_B, float *d_C, float *d_h0, int64_t S, int64_t K, int64_t P,
              int64_t N) {
    const Sizes z{S, K, P, N};
    const int64_t E = z.width();
    const auto row = N == 16 ? backward_row<16> : backward_row<0>;
    for (int64_t b = first; b < last; b++)
        row(v + b * S * E, d + b * S * K, B + b * S * N, C + b * S * N,
            kept + b * z.chunks() * N * E, d_y + b * S * E, d_h + b * N * E, d_v + b * S * E,
            d_d + b * S * K, d_B + b * S * N, d_C + b * S * N, d_h0 + b * N * E, z);
}

}  // extern "C"
