// The mLSTM's memory and its gradient, a step at a time: C and n stay in the processor's cache.
//
//     C_t = f'_t C_{t-1} + i'_t k_t v_t^T      n_t = f'_t n_{t-1} + i'_t k_t
//     h_t = C_t^T q_t / divisor_t              divisor_t = max(|n_t . q_t|, bound_t) + eps
//
// The backward pass keeps no state: it goes through the steps once more for the gradient of q,
// which needs C_t, and then from the end for those of k and v, which need the gradient of C_t.
// Matrices are held in the order, or in both orders, in which nothing is summed across lanes.
//
// A row is one sequence of one head.
//
// Shapes, all contiguous: q, k, v, h and their gradients (N, S, W);  i, f, bound, divisor, side and
// d_divisor, d_a (N, S);  C, d_C (N, W, W);  n, d_n (N, W).  side is the sign of n . q, or 0 where
// the bound is larger;  i and f are i' and f';  a is the logarithm of i'.
#include <algorithm>
#include <cmath>
#include <vector>
#include "vector.h"

namespace {

struct Sizes {
    int64_t S, W;
    float eps;
};

// W floats in V vectors, zero beyond W.
template <int V> struct Vector {
    vec part[V];
    Vector() { for (int j = 0; j < V; j++) part[j] = vec{}; }
    Vector(const float *p, int64_t W) {
        for (int j = 0; j < V; j++)
            part[j] = j * LANES < W ? load(p + j * LANES, W - j * LANES) : vec{};
    }
    void save(float *p, int64_t W) const {
        for (int j = 0; j < V && j * LANES < W; j++) store(p + j * LANES, part[j], W - j * LANES);
    }
    Vector &add(const Vector &x, float factor) {
        for (int j = 0; j < V; j++) part[j] += x.part[j] * factor;
        return *this;
    }
    Vector &scale(float factor) {
        for (int j = 0; j < V; j++) part[j] *= factor;
        return *this;
    }
    float dot(const Vector &x) const {
        vec total = {};
        for (int j = 0; j < V; j++) total += part[j] * x.part[j];
        return sum(total);
    }
};

// A matrix of W rows; M <- keep M + left right^T, and what left-multiplying by `weights` gives.
template <int V> struct Matrix {
    std::vector<float> rows;
    int64_t W;
    Matrix(int64_t W) : rows(W * V * LANES), W(W) {}
    void set(const float *from, bool transposed) {
        for (int64_t r = 0; r < W; r++)
            for (int64_t c = 0; c < W; c++)
                rows[r * V * LANES + c] = transposed ? from[c * W + r] : from[r * W + c];
    }
    void get(float *to) const {
        for (int64_t r = 0; r < W; r++) std::copy_n(&rows[r * V * LANES], W, to + r * W);
    }
    Vector<V> update(float keep, const float *left, float factor, const Vector<V> &right,
                     const float *weights) {
        Vector<V> total, scaled = right;
        scaled.scale(factor);
        for (int64_t r = 0; r < W; r++)
            for (int j = 0; j < V; j++) {
                float *at = &rows[(r * V + j) * LANES];
                const vec value = load(at) * keep + scaled.part[j] * left[r];
                store(at, value);
                total.part[j] += value * weights[r];
            }
        return total;
    }
};

template <int V>
void forward_row(const float *q, const float *k, const float *v, const float *i, const float *f,
                 const float *bound, const float *C0, const float *n0, float *h, float *divisor,
                 float *side, float *C_last, float *n_last, Sizes z) {
    const int64_t W = z.W;
    Matrix<V> C(W);
    C.set(C0, false);
    Vector<V> n(n0, W);
    for (int64_t t = 0; t < z.S; t++, q += W, k += W, v += W, h += W) {
        Vector<V> read = C.update(f[t], k, i[t], Vector<V>(v, W), q);
        n.scale(f[t]).add(Vector<V>(k, W), i[t]);
        const float count = n.dot(Vector<V>(q, W)), size = std::fabs(count);
        divisor[t] = std::max(size, bound[t]) + z.eps;
        side[t] = size < bound[t] ? 0.0f : (count > 0) - (count < 0);
        read.scale(1.0f / divisor[t]).save(h, W);
    }
    C.get(C_last);
    n.save(n_last, W);
}

template <int V>
void backward_row(const float *q, const float *k, const float *v, const float *i, const float *f,
                  const float *h, const float *divisor, const float *side, const float *C0,
                  const float *n0, const float *d_h, float *d_q, float *d_k, float *d_v, float *d_a,
                  float *d_divisor, float *d_C, float *d_n, Sizes z) {
    const int64_t W = z.W;
    Vector<V> n(n0, W);
    std::vector<float> d_read(V * LANES);
    {
        Matrix<V> C(W);  // transposed: a row is a channel of v
        C.set(C0, true);
        for (int64_t t = 0; t < z.S; t++) {
            const int64_t at = t * W;
            Vector<V> d(d_h + at, W);
            d.scale(1.0f / divisor[t]).save(d_read.data(), V * LANES);
            d_divisor[t] = -d.dot(Vector<V>(h + at, W));
            Vector<V> of_q = C.update(f[t], v + at, i[t], Vector<V>(k + at, W), d_read.data());
            n.scale(f[t]).add(Vector<V>(k + at, W), i[t]);
            of_q.add(n, d_divisor[t] * side[t]).save(d_q + at, W);
        }
    }
    Matrix<V> G(W), G_transposed(W);  // the gradient of C_t
    G.set(d_C, false);
    G_transposed.set(d_C, true);
    Vector<V> g(d_n, W);
    for (int64_t t = z.S - 1; t >= 0; t--) {
        const int64_t at = t * W;
        const float keep = t + 1 < z.S ? f[t + 1] : 1.0f;
        const Vector<V> query(q + at, W), key(k + at, W);
        Vector<V> d(d_h + at, W);
        d.scale(1.0f / divisor[t]).save(d_read.data(), V * LANES);
        Vector<V> of_v = G.update(keep, q + at, 1.0f, d, k + at);
        Vector<V> of_k = G_transposed.update(keep, d_read.data(), 1.0f, query, v + at);
        g.scale(keep).add(query, d_divisor[t] * side[t]);
        of_v.scale(i[t]).save(d_v + at, W);
        of_k.add(g, 1.0f).scale(i[t]).save(d_k + at, W);
        d_a[t] = of_k.dot(key);
    }
    G.get(d_C);
    for (int64_t e = 0; e < W * W; e++) d_C[e] *= f[0];
    g.scale(f[0]).save(d_n, W);
}

// The number of vectors of a row is known to the compiler: they then stay in registers.
template <typename Run> void with_vectors(int64_t W, Run run) {
    const int64_t needed = (W + LANES - 1) / LANES;
    if (needed <= 1) run(std::integral_constant<int, 1>());
    else if (needed <= 2) run(std::integral_constant<int, 2>());
    else if (needed <= 4) run(std::integral_constant<int, 4>());
    else if (needed <= 8) run(std::integral_constant<int, 8>());
    else run(std::integral_constant<int, 16>());
}

}  // namespace

// W is at most 64: 16 vectors of the narrowest kind.
extern "C" void forward(int64_t first, int64_t last, const float *q, const float *k, const float *v,
                        const float *i, const float *f, const float *bound, const float *C,
                        const float *n, float *h, float *divisor, float *side, float *C_last,
                        float *n_last, int64_t S, int64_t W, float eps) {
    with_vectors(W, [&](auto vectors) {
        for (int64_t r = first; r < last; r++) {
            const int64_t x = r * S * W, s = r * S, m = r * W * W, w = r * W;
            forward_row<vectors.value>(q + x, k + x, v + x, i + s, f + s, bound + s, C + m, n + w,
                                       h + x, divisor + s, side + s, C_last + m, n_last + w,
                                       Sizes{S, W, eps});
        }
    });
}

extern "C" void backward(int64_t first, int64_t last, const float *q, const float *k,
                         const float *v, const float *i, const float *f, const float *h,
                         const float *divisor, const float *side, const float *C, const float *n,
                         const float *d_h, float *d_q, float *d_k, float *d_v, float *d_a,
                         float *d_divisor, float *d_C, float *d_n, int64_t S, int64_t W) {
    with_vectors(W, [&](auto vectors) {
        for (int64_t r = first; r < last; r++) {
            const int64_t x = r * S * W, s = r * S, m = r * W * W, w = r * W;
            backward_row<vectors.value>(q + x, k + x, v + x, i + s, f + s, h + x, divisor + s,
                                        side + s, C + m, n + w, d_h + x, d_q + x, d_k + x, d_v + x,
                                        d_a + s, d_divisor + s, d_C + m, d_n + w, Sizes{S, W, 0});
        }
    });
}
