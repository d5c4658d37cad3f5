// The elementwise part of benchmark/cells/gated_output.py and its gradient, in one pass each.
//
//     gated = (norm(h) * gain + skip * a) * SiLU(z)       norm: each head to mean 0, variance 1
//
// A row is one sequence of the batch.
//
// Shapes, all contiguous: h, d_h (K, B, S, W);  gain, skip (E,);  a, z, gated and their gradients
// (B, S, E);  d_gain, d_skip (B, E), to be summed over the batch;  E = K W.
#include <cmath>
#include <vector>
#include "vector.h"

namespace {

struct Sizes {
    int64_t B, S, K, W;
    int64_t E() const { return K * W; }
};

// Zero from `width` on, where a vector reaches beyond the end of a head.
vec cut(vec v, int64_t width) {
    if (width >= LANES) return v;
    float lanes[LANES] = {};
    std::memcpy(lanes, &v, 4 * width);
    return load(lanes);
}

// (h - mean) / deviation of one head into `normed`; returns 1 / deviation.
float normalise(const float *h, float *normed, int64_t W, float eps) {
    vec total = {}, squares = {};
    for (int64_t w = 0; w < W; w += LANES) total += load(h + w, W - w);
    const float mean = sum(total) / W;
    for (int64_t w = 0; w < W; w += LANES) {
        const vec d = cut(load(h + w, W - w) - mean, W - w);
        squares += d * d;
    }
    const float scale = 1.0f / std::sqrt(sum(squares) / W + eps);
    for (int64_t w = 0; w < W; w += LANES)
        store(normed + w, (load(h + w, W - w) - mean) * scale, W - w);
    return scale;
}

vec sigmoid(vec x) { return 1.0f / (1.0f + exp(-x)); }

}  // namespace

extern "C" void forward(int64_t first, int64_t last, const float *h, const float *gain,
                        const float *skip, const float *a, const float *z, float *gated,
                        int64_t B, int64_t S, int64_t K, int64_t W, float eps) {
    const Sizes sizes{B, S, K, W};
    std::vector<float> normed(W);
    for (int64_t token = first * S; token < last * S; token++)
        for (int64_t k = 0; k < K; k++) {
            normalise(h + (k * B * S + token) * W, normed.data(), W, eps);
            const int64_t channel = k * W, at = token * sizes.E() + channel;
            for (int64_t w = 0; w < W; w += LANES) {
                const int64_t width = W - w;
                const vec read = load(&normed[w], width) * load(gain + channel + w, width) +
                                 load(skip + channel + w, width) * load(a + at + w, width);
                const vec open = load(z + at + w, width);
                store(gated + at + w, read * open * sigmoid(open), width);
            }
        }
}

extern "C" void backward(int64_t first, int64_t last, const float *d_gated, const float *h,
                         const float *gain, const float *skip, const float *a, const float *z,
                         float *gated, float *d_h, float *d_gain, float *d_skip, float *d_a,
                         float *d_z, int64_t B, int64_t S, int64_t K, int64_t W, float eps) {
    const Sizes sizes{B, S, K, W};
    std::vector<float> normed(W), d_normed(W);
    for (int64_t token = first * S; token < last * S; token++)
        for (int64_t k = 0; k < K; k++) {
            const int64_t head = (k * B * S + token) * W;
            const int64_t channel = k * W, at = token * sizes.E() + channel;
            float *of_gain = d_gain + token / S * sizes.E() + channel;
            float *of_skip = d_skip + token / S * sizes.E() + channel;
            const float scale = normalise(h + head, normed.data(), W, eps);
            vec total = {}, along = {};  // of the gradient, and of it along `normed`
            for (int64_t w = 0; w < W; w += LANES) {
                const int64_t width = W - w;
                const vec n = load(&normed[w], width), g = load(gain + channel + w, width);
                const vec s = load(skip + channel + w, width), bypass = load(a + at + w, width);
                const vec open = load(z + at + w, width), gate = sigmoid(open);
                const vec shown = open * gate, read = n * g + s * bypass;
                const vec d = load(d_gated + at + w, width), d_read = d * shown;
                store(gated + at + w, read * shown, width);
                store(d_z + at + w, d * read * (gate + shown * (1.0f - gate)), width);
                store(d_a + at + w, d_read * s, width);
                store(of_gain + w, load(of_gain + w, width) + d_read * n, width);
                store(of_skip + w, load(of_skip + w, width) + d_read * bypass, width);
                store(&d_normed[w], d_read * g, width);
                total += d_read * g;  // beyond the end of a head all factors are zero
                along += d_read * g * n;
            }
            const float mean = sum(total) / W, slope = sum(along) / W;
            for (int64_t w = 0; w < W; w += LANES) {
                const vec d = load(&d_normed[w], W - w), n = load(&normed[w], W - w);
                store(d_h + head + w, scale * (d - mean - slope * n), W - w);
            }
        }
}
