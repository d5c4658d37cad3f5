// The loops of benchmark/cells/scalar_memory.py: the sLSTM's steps, and its gradient backwards.
//
// A row is one sequence of one head; heads do not mix, so rows are independent. Rows of one head
// are taken four at a time, which reads its recurrent weights R from the cache once for all four.
//
// Shapes, all contiguous, N = K B rows with the heads outermost:
//     pre, gates, d_gates (S, N, 4 W);  hs (S + 1, N, W);  memory (S + 1, N, 2, W);
//     slope, d_hs (S, N, W);  m, d_h (N, W);  d_memory (N, 2, W);  routed (S, N, 2, W);
//     R (K, 4 W, W).  Gates are in the order i, f, z, o.
#include <algorithm>
#include <vector>
#include "vector.h"

namespace {

constexpr int ROWS = 4;

struct Sizes {
    int64_t S, B, K, W;
    int64_t N() const { return K * B; }
    int64_t padded() const { return (W + LANES - 1) / LANES * LANES; }  // W in whole vectors
};

vec maximum(vec a, vec b) { return a > b ? a : b; }
vec absolute(vec a) { return a > 0.0f ? a : -a; }

// log(1 + e) for 0 <= e <= 1: 2 artanh(s) with s = e / (2 + e) <= 1 / 3, as a series.
vec log1p(vec e) {
    const vec s = e / (e + 2.0f), q = s * s;
    vec p = q * (1.0f / 15) + 1.0f / 13;
    p = p * q + 1.0f / 11;
    p = p * q + 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    return 2.0f * (s + s * q * p);
}

vec sigmoid(vec x) { return 1.0f / (1.0f + exp(-x)); }

// A polynomial near 0, where the quotient of exponentials would cancel (Cephes).
vec tanh(vec x) {
    const vec q = x * x, a = absolute(x);
    vec p = q * -5.70498872745e-3f + 2.06390887954e-2f;
    p = p * q - 5.37397155531e-2f;
    p = p * q + 1.33314422036e-1f;
    p = p * q - 3.33332819422e-1f;
    const vec near = x + x * q * p;
    const vec far = 1.0f - 2.0f / (exp(2.0f * a) + 1.0f);
    return a < 0.625f ? near : (x > 0.0f ? far : -far);
}

// out[r] = sum_d x[r][d] * weights[d]; `width` floats each, a multiple of LANES.
void multiply(const float *weights, const float *x, float *out, int64_t inner, int64_t x_stride,
              int64_t width) {
    for (int64_t j = 0; j < width; j += LANES) {
        vec total[ROWS] = {};
        for (int64_t d = 0; d < inner; d++) {
            const vec w = load(weights + d * width + j);
            for (int r = 0; r < ROWS; r++) total[r] += w * x[r * x_stride + d];
        }
        for (int r = 0; r < ROWS; r++) store(out + r * width + j, total[r]);
    }
}

// The rows of one head that are taken together: `count` of ROWS, the first one is `row`.
struct Block {
    int64_t row, count;
};

// One step of one row: the gates from `raw` + `pre`, and all that follows from them.
void step(const float *raw, const float *pre, const float *memory, float *next, float *gates,
          float *slope, float *m, float *h, int64_t exponential, Sizes z) {
    const int64_t W = z.W, P = z.padded();
    for (int64_t w = 0; w < W; w += LANES) {
        const int64_t width = W - w;
        vec gate[4];
        for (int g = 0; g < 4; g++) gate[g] = load(raw + g * P + w) + load(pre + g * W + w, width);
        vec log_f = gate[1], bend = vec{} + 1.0f;
        if (!exponential) {
            const vec e = exp(-absolute(gate[1]));
            log_f = (gate[1] < 0.0f ? gate[1] : vec{}) - log1p(e);
            bend = (gate[1] < 0.0f ? bend : e) / (1.0f + e);
        }
        const vec kept = log_f + load(m + w, width);
        const vec top = maximum(gate[0], kept);
        const vec i = exp(gate[0] - top), f = exp(kept - top);
        const vec written = tanh(gate[2]), o = sigmoid(gate[3]);
        const vec c = f * load(memory + w, width) + i * written;
        const vec n = f * load(memory + W + w, width) + i;
        store(m + w, top, width);
        store(next + w, c, width);
        store(next + W + w, n, width);
        store(h + w, o * c / n, width);
        store(slope + w, bend, width);
        store(gates + w, i, width);
        store(gates + W + w, f, width);
        store(gates + 2 * W + w, written, width);
        store(gates + 3 * W + w, o, width);
    }
}

void forward_block(Block block, const float *pre, const float *R, float *hs, float *memory,
                   float *gates, float *slope, float *m, int64_t exponential, Sizes z) {
    const int64_t W = z.W, N = z.N(), P = z.padded();
    std::vector<float> weights(W * 4 * P), raw(ROWS * 4 * P), h(ROWS * W);
    for (int64_t g = 0; g < 4; g++)
        for (int64_t w = 0; w < W; w++)
            for (int64_t d = 0; d < W; d++) weights[(d * 4 + g) * P + w] = R[(g * W + w) * W + d];
    for (int64_t t = 0; t < z.S; t++) {
        std::memcpy(h.data(), hs + (t * N + block.row) * W, 4 * block.count * W);
        multiply(weights.data(), h.data(), raw.data(), W, W, 4 * P);
        for (int64_t r = 0; r < block.count; r++) {
            const int64_t row = block.row + r, now = t * N + row, then = now + N;
            step(raw.data() + r * 4 * P, pre + now * 4 * W, memory + now * 2 * W,
                 memory + then * 2 * W, gates + now * 4 * W, slope + now * W, m + row * W,
                 hs + then * W, exponential, z);
        }
    }
}

// One step of one row backwards; `d` receives the gradients of the gates too, for R.
void step_back(const float *memory, const float *next, const float *h, const float *gates,
               const float *slope, const float *d_out, const float *routed, float *d_h,
               float *d_memory, float *d_gates, float *d, Sizes z) {
    const int64_t W = z.W;
    for (int64_t w = 0; w < W; w += LANES) {
        const int64_t width = W - w;
        const vec i = load(gates + w, width), f = load(gates + W + w, width);
        const vec written = load(gates + 2 * W + w, width), o = load(gates + 3 * W + w, width);
        const vec n = load(next + W + w, width);
        const vec dh = load(d_out + w, width) + load(d_h + w), hidden = load(h + w, width);
        const vec dc = load(d_memory + w, width) + dh * o / n;
        const vec dn = load(d_memory + W + w, width) - dh * hidden / n;
        const vec bend = load(slope + w, width);
        const vec c_before = load(memory + w, width), n_before = load(memory + W + w, width);
        vec gate[4];
        gate[0] = i * (dc * written + dn);
        gate[1] = f * bend * (dc * c_before + dn * n_before);
        gate[2] = dc * i * (1.0f - written * written);
        gate[3] = dh * hidden * (1.0f - o);
        if (routed) {
            gate[0] += load(routed + w, width);
            gate[1] += load(routed + W + w, width);
        }
        store(d_memory + w, dc * f, width);
        store(d_memory + W + w, dn * f, width);
        for (int g = 0; g < 4; g++) {
            store(d_gates + g * W + w, gate[g], width);
            store(d + g * W + w, gate[g], width);
        }
    }
}

void backward_block(Block block, const float *d_hs, const float *R, const float *hs,
                    const float *memory, const float *gates, const float *slope,
                    const float *routed, float *d_gates, float *d_memory, float *d_h, Sizes z) {
    const int64_t W = z.W, N = z.N(), P = z.padded();
    std::vector<float> weights(4 * W * P), d(ROWS * 4 * W), carried(ROWS * P);
    for (int64_t j = 0; j < 4 * W; j++) std::copy_n(R + j * W, W, weights.data() + j * P);
    for (int64_t t = z.S - 1; t >= 0; t--) {
        for (int64_t r = 0; r < block.count; r++) {
            const int64_t row = block.row + r, now = t * N + row, then = now + N;
            step_back(memory + now * 2 * W, memory + then * 2 * W, hs + then * W,
                      gates + now * 4 * W, slope + now * W, d_hs + now * W,
                      routed ? routed + now * 2 * W : nullptr, carried.data() + r * P,
                      d_memory + row * 2 * W, d_gates + now * 4 * W, d.data() + r * 4 * W, z);
        }
        multiply(weights.data(), d.data(), carried.data(), 4 * W, 4 * W, P);
    }
    for (int64_t r = 0; r < block.count; r++)
        std::copy_n(carried.data() + r * P, W, d_h + (block.row + r) * W);
}

// Rows `first` to `last` in blocks that do not cross from one head to the next.
template <typename Run> void in_blocks(int64_t first, int64_t last, int64_t B, Run run) {
    while (first < last) {
        const int64_t head = first / B, end = std::min(last, (head + 1) * B);
        const int64_t count = std::min<int64_t>(ROWS, end - first);
        run(head, Block{first, count});
        first += count;
    }
}

}  // namespace

extern "C" void forward(int64_t first, int64_t last, const float *pre, const float *R, float *hs,
                        float *memory, float *gates, float *slope, float *m, int64_t S, int64_t B,
                        int64_t K, int64_t W, int64_t exponential) {
    const Sizes z{S, B, K, W};
    in_blocks(first, last, B, [&](int64_t head, Block block) {
        forward_block(block, pre, R + head * 4 * W * W, hs, memory, gates, slope, m, exponential, z);
    });
}

extern "C" void backward(int64_t first, int64_t last, const float *d_hs, const float *R,
                         const float *hs, const float *memory, const float *gates,
                         const float *slope, const float *routed, float *d_gates, float *d_memory,
                         float *d_h, int64_t S, int64_t B, int64_t K, int64_t W,
                         int64_t is_routed) {
    const Sizes z{S, B, K, W};
    in_blocks(first, last, B, [&](int64_t head, Block block) {
        backward_block(block, d_hs, R + head * 4 * W * W, hs, memory, gates, slope,
                       is_routed ? routed : nullptr, d_gates, d_memory, d_h, z);
    });
}
