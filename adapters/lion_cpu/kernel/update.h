// What the update, compiled for several sets of instructions, offers to the door in lion_cpu.cpp.

#pragma once

#include <stdint.h>

// The numbers that a caller names a storage dtype by.
enum Dtype { FLOAT16 = 0, BFLOAT16 = 1, FLOAT32 = 2, FLOAT64 = 3, DTYPES = 4 };

// β1, 1-β1, β2, 1-β2, η, λ: the compute dtype's values already, so that converting them is exact.
enum Scalar { BETA1, ONE_MINUS_BETA1, BETA2, ONE_MINUS_BETA2, LR, WEIGHT_DECAY, SCALARS };

// One step of n elements that lie one after another, in place.
typedef void Update(void* theta, void* momentum, const void* grad, int64_t n, const double* scalars);

// By the dtypes of θ, m and g; null for a triple that is not legal (SPEC C3).
struct Updates { Update* of[DTYPES][DTYPES][DTYPES]; };

extern const Updates updates_baseline, updates_avx2, updates_avx512;
