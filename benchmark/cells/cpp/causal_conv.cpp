// A causal depthwise convolution, and its gradient.
//
//     y_t = b + sum_j w_j * u_{t+j}          j = 0 .. J - 1; u is the input after J - 1 earlier steps
//
// Shapes, all contiguous: u (rows, S + J - 1, E);  y (rows, S, E);  w (J, E);  b (E).
#include "vector.h"

extern "C" {

void forward(int64_t first, int64_t last, const float *u, const float *w, const float *b, float *y,
             int64_t S, int64_t E, int64_t J) {
    for (int64_t t = first * S; t < last * S; t++) {
        const float *past = u + (t + t / S * (J - 1)) * E;
        for (int64_t e = 0; e < E; e += LANES) {
            vec total = load(b + e, E - e);
            for (int64_t j = 0; j < J; j++)
                total += load(w + j * E + e, E - e) * load(past + j * E + e, E - e);
            store(y + t * E + e, total, E - e);
        }
    }
}

// d_u and d_w start at zero. d_w (rows, J, E) comes a row at a time, so that its sum does not
// depend on the threads.
void backward(int64_t first, int64_t last, const float *u, const float *w, const float *d_y,
              float *d_u, float *d_w, int64_t S, int64_t E, int64_t J) {
    for (int64_t t = first * S; t < last * S; t++) {
        const int64_t row = t / S, past = (t + row * (J - 1)) * E;
        for (int64_t e = 0; e < E; e += LANES) {
            const vec g = load(d_y + t * E + e, E - e);
            for (int64_t j = 0; j < J; j++) {
                const int64_t here = past + j * E + e, tap = (row * J + j) * E + e;
                store(d_u + here, load(d_u + here, E - e) + g * load(w + j * E + e, E - e), E - e);
                store(d_w + tap, load(d_w + tap, E - e) + g * load(u + here, E - e), E - e);
            }
        }
    }
}

}  // extern "C"
