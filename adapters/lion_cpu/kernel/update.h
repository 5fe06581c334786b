// What the update, compiled for several sets of instructions, offers to the door in lion_cpu.cpp.

#pragma once

#include <stdint.h>

// The numbers that a caller names a storage dtype by.
enum Dtype { FLOAT16 = 0, BFLOAT16 = 1, FLOAT32 = 2, FLOAT64 = 3, DTYPES = 4 };

// β1, 1-β1, β2, 1-β2, η, λ: the compute dtype's values already, so that converting them is exact.
enum Scalar { BETA1, ONE_MINUS_BETA1, BETA2, ONE_MINUS_BETA2, LR, WEIGHT_DECAY, SCALARS };

// One step of n elements that lie one after another, in place.
typedef void Update(void* theta, void* momentum, const void* grad, int64_t n, const double* scalars);

// Whether subnormals are flushed by comparisons rather than by the processor's mode. x86's modes are SPEC
// C18's flush; Arm's decides what is tiny before it rounds.
#if defined(__aarch64__) || defined(LION_COMPARES)  // tests compare on x86, too
constexpr bool FLUSHES_BY_COMPARISONS = true;
#else
constexpr bool FLUSHES_BY_COMPARISONS = false;
#endif

// By whether subnormals are flushed and by the dtypes of θ, m and g; null for a triple that is not legal
// (SPEC C3).
struct Updates { Update* of[2][DTYPES][DTYPES][DTYPES]; };

extern const Updates updates_baseline, updates_avx2, updates_avx512;
