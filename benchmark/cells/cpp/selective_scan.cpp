// The selective scan of Mamba, and its gradient, with the state in registers.
//
//     h_t = exp(dt_t A) h_{t-1} + (dt_t x_t) B_t          y_t = C_t . h_t
//
// Shapes, all contiguous: x, dt, y (rows, S, E);  B, C (rows, S, N);  A (N, E);  h (rows, N, E).
// Lanes are channels, so that nothing is summed across lanes but the gradients of B and C; where
// there is one channel, lanes are its states.
#include <algorithm>
#include <vector>
#include "vector.h"

namespace {

constexpr int CHUNK = 16;  // steps between two kept states; the backward pass recomputes the others

struct Sizes {
    int64_t S, E, N;
    int64_t blocks() const { return (E + LANES - 1) / LANES; }
    int64_t chunks() const { return (S + CHUNK - 1) / CHUNK; }
};

// N is known to the compiler where FIXED is not 0: the state then lives in registers.
template <int FIXED>
void forward_row(const float *x, const float *dt, const float *A, const float *B, const float *C,
                 const float *h0, float *y, float *kept, float *last, Sizes z) {
    const int64_t N = FIXED ? FIXED : z.N, E = z.E;
    std::vector<vec> memory(FIXED ? 0 : 2 * N);
    vec registers[FIXED ? 2 * FIXED : 1];
    vec *h = FIXED ? registers : memory.data(), *a = h + N;
    for (int64_t e = 0; e < E; e += LANES) {
        const int64_t width = E - e;
        for (int64_t n = 0; n < N; n++) h[n] = load(h0 + n * E + e, width);
        for (int64_t n = 0; n < N; n++) a[n] = load(A + n * E + e, width);
        for (int64_t t = 0; t < z.S; t++) {
            if (t % CHUNK == 0)
                for (int64_t n = 0; n < N; n++)
                    store(kept + ((t / CHUNK) * N + n) * E + e, h[n], width);
            const vec step = load(dt + t * E + e, width);
            const vec seen = step * load(x + t * E + e, width);
            vec out = {};
            for (int64_t n = 0; n < N; n++) {
                h[n] = exp(step * a[n]) * h[n] + seen * B[t * N + n];
                out += h[n] * C[t * N + n];
            }
            store(y + t * E + e, out, width);
        }
        for (int64_t n = 0; n < N; n++) store(last + n * E + e, h[n], width);
    }
}

// What the backward pass of one row works in.
struct Workspace {
    std::vector<vec> decay, h, d_B, d_C;  // (CHUNK, N), h with one more step
    std::vector<vec> d_h, d_A;            // (blocks, N), carried from chunk to chunk
    Workspace(Sizes z)
        : decay(CHUNK * z.N), h((CHUNK + 1) * z.N), d_B(CHUNK * z.N), d_C(CHUNK * z.N),
          d_h(z.blocks() * z.N), d_A(z.blocks() * z.N) {}
};

// One block of channels in one chunk of `steps` steps; pointers are at the chunk's first step.
template <int FIXED>
void backward_block(const float *x, const float *dt, const float *A, const float *B,
                    const float *C, const float *kept, const float *d_y, float *d_x, float *d_dt,
                    vec *d_h, vec *d_A, Workspace &w, int64_t steps, int64_t e, Sizes z) {
    const int64_t N = FIXED ? FIXED : z.N, E = z.E, width = E - e;
    vec *h = w.h.data(), *decay = w.decay.data(), *d_B = w.d_B.data(), *d_C = w.d_C.data();
    for (int64_t n = 0; n < N; n++) h[n] = load(kept + n * E + e, width);
    for (int64_t t = 0; t < steps; t++, h += N, decay += N) {
        const vec step = load(dt + t * E + e, width);
        const vec seen = step * load(x + t * E + e, width);
        for (int64_t n = 0; n < N; n++) {
            decay[n] = exp(step * load(A + n * E + e, width));
            h[N + n] = decay[n] * h[n] + seen * B[t * N + n];
        }
    }
    for (int64_t t = steps - 1; t >= 0; t--) {
        h -= N, decay -= N;  // h[n] before the step, h[N + n] after it
        const vec step = load(dt + t * E + e, width), in = load(x + t * E + e, width);
        const vec seen = step * in, g = load(d_y + t * E + e, width);
        vec d_seen = {}, d_step = {};
        for (int64_t n = 0; n < N; n++) {
            const vec now = d_h[n] + g * C[t * N + n];
            d_C[t * N + n] += g * h[N + n];
            d_B[t * N + n] += now * seen;
            d_seen += now * B[t * N + n];
            d_h[n] = now * decay[n];
            const vec exponent = d_h[n] * h[n];
            d_A[n] += exponent * step;
            d_step += exponent * load(A + n * E + e, width);
        }
        store(d_x + t * E + e, d_seen * step, width);
        store(d_dt + t * E + e, d_step + d_seen * in, width);
    }
}

template <int FIXED>
void backward_row(const float *x, const float *dt, const float *A, const float *B, const float *C,
                  const float *kept, const float *d_y, const float *d_last, float *d_x, float *d_dt,
                  float *d_A, float *d_B, float *d_C, float *d_h0, Sizes z) {
    const int64_t N = FIXED ? FIXED : z.N, E = z.E;
    Workspace w(z);
    for (int64_t e = 0; e < E; e += LANES)
        for (int64_t n = 0; n < N; n++)
            w.d_h[e / LANES * N + n] = load(d_last + n * E + e, E - e);
    for (int64_t c = z.chunks() - 1; c >= 0; c--) {
        const int64_t t = c * CHUNK, steps = std::min<int64_t>(CHUNK, z.S - t);
        std::fill(w.d_B.begin(), w.d_B.end(), vec{});
        std::fill(w.d_C.begin(), w.d_C.end(), vec{});
        for (int64_t e = 0; e < E; e += LANES)
            backward_block<FIXED>(x + t * E, dt + t * E, A, B + t * N, C + t * N,
                                  kept + c * N * E, d_y + t * E, d_x + t * E, d_dt + t * E,
                                  &w.d_h[e / LANES * N], &w.d_A[e / LANES * N], w, steps, e, z);
        for (int64_t i = 0; i < steps * N; i++) {
            d_B[t * N + i] = sum(w.d_B[i]);
            d_C[t * N + i] = sum(w.d_C[i]);
        }
    }
    for (int64_t e = 0; e < E; e += LANES)
        for (int64_t n = 0; n < N; n++) {
            store(d_A + n * E + e, w.d_A[e / LANES * N + n], E - e);
            store(d_h0 + n * E + e, w.d_h[e / LANES * N + n], E - e);
        }
}

// One channel by itself, as if each of its states were one: else all lanes but the first idle.
void forward_channel(const float *x, const float *dt, const float *A, const float *B,
                     const float *C, const float *h0, float *y, float *kept, float *last, Sizes z) {
    const int64_t N = z.N;
    std::vector<vec> h, a;
    for (int64_t n = 0; n < N; n += LANES) {
        h.push_back(load(h0 + n, N - n));
        a.push_back(load(A + n, N - n));
    }
    for (int64_t t = 0; t < z.S; t++) {
        const float step = dt[t], seen = step * x[t];
        vec out = {};
        for (int64_t n = 0, i = 0; n < N; n += LANES, i++) {
            if (t % CHUNK == 0) store(kept + t / CHUNK * N + n, h[i], N - n);
            h[i] = exp(step * a[i]) * h[i] + seen * load(B + t * N + n, N - n);
            out += h[i] * load(C + t * N + n, N - n);
        }
        y[t] = sum(out);
    }
    for (int64_t n = 0, i = 0; n < N; n += LANES, i++) store(last + n, h[i], N - n);
}

void backward_channel(const float *x, const float *dt, const float *A, const float *B,
                      const float *C, const float *kept, const float *d_y, const float *d_last,
                      float *d_x, float *d_dt, float *d_A, float *d_B, float *d_C, float *d_h0,
                      Sizes z) {
    const int64_t N = z.N, blocks = (N + LANES - 1) / LANES;
    std::vector<vec> decay(CHUNK * blocks), h((CHUNK + 1) * blocks), a, d_h, d_a(blocks);
    for (int64_t n = 0; n < N; n += LANES) {
        d_h.push_back(load(d_last + n, N - n));
        a.push_back(load(A + n, N - n));
    }
    for (int64_t c = z.chunks() - 1; c >= 0; c--) {
        const int64_t first = c * CHUNK, end = std::min(first + CHUNK, z.S);
        for (int64_t n = 0, i = 0; n < N; n += LANES, i++) h[i] = load(kept + c * N + n, N - n);
        vec *before = h.data(), *d = decay.data();
        for (int64_t t = first; t < end; t++, before += blocks, d += blocks)
            for (int64_t n = 0, i = 0; n < N; n += LANES, i++) {
                d[i] = exp(dt[t] * a[i]);
                before[blocks + i] = d[i] * before[i] + dt[t] * x[t] * load(B + t * N + n, N - n);
            }
        for (int64_t t = end - 1; t >= first; t--) {
            before -= blocks, d -= blocks;
            vec d_seen = {}, d_step = {};
            for (int64_t n = 0, i = 0; n < N; n += LANES, i++) {
                const vec now = d_h[i] + d_y[t] * load(C + t * N + n, N - n);
                store(d_C + t * N + n, d_y[t] * before[blocks + i], N - n);
                store(d_B + t * N + n, now * (dt[t] * x[t]), N - n);
                d_seen += now * load(B + t * N + n, N - n);
                d_h[i] = now * d[i];
                const vec exponent = d_h[i] * before[i];
                d_a[i] += exponent * dt[t];
                d_step += exponent * a[i];
            }
            d_x[t] = sum(d_seen) * dt[t];
            d_dt[t] = sum(d_step) + sum(d_seen) * x[t];
        }
    }
    for (int64_t n = 0, i = 0; n < N; n += LANES, i++) {
        store(d_A + n, d_a[i], N - n);
        store(d_h0 + n, d_h[i], N - n);
    }
}

}  // namespace

extern "C" {

// kept: (rows, chunks of 16 steps, N, E), the state before each chunk, for the backward pass.
void forward(int64_t first, int64_t last, const float *x, const float *dt, const float *A,
             const float *B, const float *C, const float *h0, float *y, float *kept, float *h,
             int64_t S, int64_t E, int64_t N) {
    const Sizes z{S, E, N};
    const auto row = E == 1 ? forward_channel : N == 16 ? forward_row<16> : forward_row<0>;
    for (int64_t b = first; b < last; b++)
        row(x + b * S * E, dt + b * S * E, A, B + b * S * N, C + b * S * N, h0 + b * N * E,
            y + b * S * E, kept + b * z.chunks() * N * E, h + b * N * E, z);
}

// d_A comes a row at a time, (rows, N, E), so that its sum does not depend on the threads.
void backward(int64_t first, int64_t last, const float *x, const float *dt, const float *A,
              const float *B, const float *C, const float *kept, const float *d_y, const float *d_h,
              float *d_x, float *d_dt, float *d_A, float *d_B, float *d_C, float *d_h0, int64_t S,
              int64_t E, int64_t N) {
    const Sizes z{S, E, N};
    const auto row = E == 1 ? backward_channel : N == 16 ? backward_row<16> : backward_row<0>;
    for (int64_t b = first; b < last; b++)
        row(x + b * S * E, dt + b * S * E, A, B + b * S * N, C + b * S * N,
            kept + b * z.chunks() * N * E, d_y + b * S * E, d_h + b * N * E, d_x + b * S * E,
            d_dt + b * S * E, d_A + b * N * E, d_B + b * S * N, d_C + b * S * N, d_h0 + b * N * E,
            z);
}

}  // extern "C"
