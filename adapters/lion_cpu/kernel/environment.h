// What a thread computes with: which instructions it has, how it rounds, whether it keeps subnormals.

#pragma once

#include <stdint.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "update.h"

namespace {

#if defined(__x86_64__)

#if defined(LION_UPDATES)
inline const Updates* widest_updates() { return &LION_UPDATES; }  // tests take each in turn
#else
// The widest vectors that the processor has and the system saves.
inline const Updates* widest_updates() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_F16C)) return &updates_baseline;
    unsigned saved, high;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return &updates_baseline;
    const unsigned avx512 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    if ((b & avx512) == avx512 && (saved & 0xe6) == 0xe6) return &updates_avx512;
    if ((b & bit_AVX2) && (saved & 6) == 6) return &updates_avx2;
    return &updates_baseline;
}
#endif

typedef uint32_t Environment;  // MXCSR

// Of results that are tiny after rounding, and of operands: SPEC C18's flush.
const Environment FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZEROS = 0x0040;

// The thread rounds to nearest and traps no exception until its environment is restored.
inline Environment enter_environment(bool flush) {
    const Environment before = __builtin_ia32_stmxcsr();
    const bool mode = flush && !FLUSHES_BY_COMPARISONS;
    __builtin_ia32_ldmxcsr(mode ? 0x1f80 | FLUSH_TO_ZERO | DENORMALS_ARE_ZEROS : 0x1f80);
    return before;
}
inline void restore_environment(Environment before) { __builtin_ia32_ldmxcsr(before); }

#elif defined(__aarch64__)

inline const Updates* widest_updates() { return &updates_baseline; }  // NEON is part of it

typedef uint64_t Environment;  // FPCR

inline Environment enter_environment(bool) {
    static_assert(FLUSHES_BY_COMPARISONS, "FPCR's FZ is no flush of SPEC C18's");
    Environment before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
    return before;
}
inline void restore_environment(Environment before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }

#else
#error "no code for this processor: lion_torch then takes torch's own operations, with the same bits"
#endif

}  // namespace
