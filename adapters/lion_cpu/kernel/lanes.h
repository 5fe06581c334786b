// Vectors of numbers, for whatever instructions this file is compiled with.
//
// Every operation is exact or rounds as IEEE 754 has it, on every element alike, so which
// instructions run decides how fast it is and no bit of the result. GCC's and Clang's vector types
// carry the arithmetic; no header is needed but the compiler's own.

#pragma once

#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
#elif defined(__AVX2__)
constexpr int VECTOR_BYTES = 32;
#else
constexpr int VECTOR_BYTES = 16;
#endif

#define INLINE inline __attribute__((always_inline))

template <class T, int N> struct Vector { typedef T type __attribute__((vector_size(N * sizeof(T)))); };
template <int N> using f64 = typename Vector<double, N>::type;
template <int N> using f32 = typename Vector<float, N>::type;
template <int N> using i64 = typename Vector<int64_t, N>::type;
template <int N> using i32 = typename Vector<int32_t, N>::type;
template <int N> using u32 = typename Vector<uint32_t, N>::type;
template <int N> using u16 = typename Vector<uint16_t, N>::type;

// What lies in memory. The two 16-bit formats are patterns here; C++17 has no type for them.
struct float16 { uint16_t bits; };
struct bfloat16 { uint16_t bits; };

template <class V> INLINE V read(const void* from) {
    V vector;
    __builtin_memcpy(&vector, from, sizeof vector);
    return vector;
}
template <class V> INLINE void write(V vector, void* to) { __builtin_memcpy(to, &vector, sizeof vector); }

template <class To, class From> INLINE To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same bits, in another type");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}

// 16-bit patterns and the same numbers in 32 bits. GCC takes vectors of 512 bits apart for these.
template <int N> INLINE u32<N> zero_extended(u16<N> patterns) { return __builtin_convertvector(patterns, u32<N>); }
template <int N> INLINE u16<N> low_halves(u32<N> patterns) { return __builtin_convertvector(patterns, u16<N>); }
#if defined(__AVX512F__)
template <> INLINE u32<16> zero_extended<16>(u16<16> patterns) {
    return bits_as<u32<16>>(_mm512_cvtepu16_epi32(bits_as<__m256i>(patterns)));
}
template <> INLINE u16<16> low_halves<16>(u32<16> patterns) {
    return bits_as<u16<16>>(_mm512_cvtepi32_epi16(bits_as<__m512i>(patterns)));
}
#endif

// --- 16 bits to float32: exact

template <int N> INLINE f32<N> widened(u16<N> pattern, bfloat16) {
    return bits_as<f32<N>>(zero_extended<N>(pattern) << 16);
}

template <int N> struct Float16 {
    static INLINE f32<N> widened(u16<N> pattern) {
        const u32<N> all = zero_extended<N>(pattern);
        const u32<N> magnitude = all & 0x7fff;
        // The exponent's bias is 127 rather than 15; infinities and NaN have the largest there is.
        const u32<N> rebiased = (magnitude << 13) + (112u << 23);
        const u32<N> largest = bits_as<u32<N>>(magnitude >= 0x7c00) & (112u << 23);
        const f32<N> subnormal = __builtin_convertvector(bits_as<i32<N>>(magnitude), f32<N>) * 0x1p-24f;
        const u32<N> result = magnitude < 0x400 ? bits_as<u32<N>>(subnormal) : rebiased + largest;
        return bits_as<f32<N>>(result | (all & 0x8000) << 16);
    }

    static INLINE u16<N> rounded(f32<N> value) {
        const u32<N> all = bits_as<u32<N>>(value);
        const u32<N> magnitude = all & 0x7fffffff;
        // Half of the last place, less one where that place is even. A carry into the exponent is right.
        const u32<N> normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
        // Beside 0.5 the last place of float32 is 2^-24, float16's smallest subnormal number.
        const u32<N> subnormal = bits_as<u32<N>>(bits_as<f32<N>>(magnitude) + 0.5f) - 0x3f000000u;
        u32<N> result = magnitude < 0x38800000 ? subnormal : normal;
        result = magnitude >= 0x47800000 ? u32<N>{} + 0x7c00 : result;
        result = magnitude > 0x7f800000 ? u32<N>{} + 0x7e00 : result;
        return low_halves<N>(result | (all >> 16 & 0x8000));
    }
};

// Where the processor converts float16 itself. The modes that flush leave float16's subnormals alone.
#if defined(__AVX512F__)
template <> struct Float16<16> {
    static INLINE f32<16> widened(u16<16> pattern) {
        return bits_as<f32<16>>(_mm512_cvtph_ps(bits_as<__m256i>(pattern)));
    }
    static INLINE u16<16> rounded(f32<16> value) {
        return bits_as<u16<16>>(_mm512_cvtps_ph(bits_as<__m512>(value), _MM_FROUND_TO_NEAREST_INT));
    }
};
#endif
#if defined(__F16C__)
template <> struct Float16<8> {
    static INLINE f32<8> widened(u16<8> pattern) {
        return bits_as<f32<8>>(_mm256_cvtph_ps(bits_as<__m128i>(pattern)));
    }
    static INLINE u16<8> rounded(f32<8> value) {
        return bits_as<u16<8>>(_mm256_cvtps_ph(bits_as<__m256>(value), _MM_FROUND_TO_NEAREST_INT));
    }
};
#elif defined(__aarch64__)
template <> struct Float16<4> {
    static INLINE f32<4> widened(u16<4> pattern) {
        return bits_as<f32<4>>(vcvt_f32_f16(bits_as<float16x4_t>(pattern)));
    }
    static INLINE u16<4> rounded(f32<4> value) {
        return bits_as<u16<4>>(vcvt_f16_f32(bits_as<float32x4_t>(value)));
    }
};
#endif

template <int N> INLINE f32<N> widened(u16<N> pattern, float16) { return Float16<N>::widened(pattern); }

// --- float32 to 16 bits: rounded once, to nearest even

template <int N> INLINE u16<N> rounded(f32<N> value, float16) { return Float16<N>::rounded(value); }

template <int N> INLINE u16<N> rounded(f32<N> value, bfloat16) {
    const u32<N> bits = bits_as<u32<N>>(value);
    const u32<N> nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    // Rounding up could turn a NaN into an infinity.
    return low_halves<N>(value != value ? u32<N>{} + 0x7fc0 : nearest);
}

// From half of bfloat16's last place below its smallest normal number, 2^-126, numbers round up to that.
const int64_t NEARLY_NORMAL = 0x380ff00000000000;

// float64 to a float32 that rounds to 16 bits as the float64 would: cut off, and odd if that lost anything.
template <int N> INLINE f32<N> rounded_to_odd(f64<N> value) {
    const f32<N> nearest = __builtin_convertvector(value, f32<N>);
    const f64<N> back = __builtin_convertvector(nearest, f64<N>);
    const i64<N> exact = bits_as<i64<N>>(value) & INT64_MAX;
    const i64<N> magnitude = bits_as<i64<N>>(back) & INT64_MAX;
    // A finite number's bits less one are the next number toward zero; comparisons give -1.
    const i64<N> too_far = magnitude > exact;
    // Where subnormals are flushed, float32 has made a zero of what is not tiny in bfloat16's precision.
    const i64<N> lost = (magnitude == 0) & (exact >= NEARLY_NORMAL);
    const i64<N> change = too_far + (lost & 0x00800000);  // the pattern of 2^-126
    const i32<N> cut = bits_as<i32<N>>(nearest) + __builtin_convertvector(change, i32<N>);
    const i64<N> inexact = __builtin_convertvector(bits_as<f32<N>>(cut), f64<N>) != value;
    return bits_as<f32<N>>(cut | (__builtin_convertvector(inexact, i32<N>) & 1));
}

// --- N elements from memory into the compute type, and back

template <class C, class S> struct Element;

template <class S> struct Element<float, S> {
    template <int N> static INLINE f32<N> load(const S* from) { return widened<N>(read<u16<N>>(from), S{}); }
    template <int N> static INLINE void store(f32<N> value, S* to) { write(rounded<N>(value, S{}), to); }
};
template <> struct Element<float, float> {
    template <int N> static INLINE f32<N> load(const float* from) { return read<f32<N>>(from); }
    template <int N> static INLINE void store(f32<N> value, float* to) { write(value, to); }
};

template <class S> struct Element<double, S> {
    template <int N> static INLINE f64<N> load(const S* from) {
        return __builtin_convertvector(Element<float, S>::template load<N>(from), f64<N>);
    }
    template <int N> static INLINE void store(f64<N> value, S* to) {
        Element<float, S>::template store<N>(rounded_to_odd<N>(value), to);
    }
};
template <> struct Element<double, float> {
    template <int N> static INLINE f64<N> load(const float* from) {
        return __builtin_convertvector(read<f32<N>>(from), f64<N>);
    }
    template <int N> static INLINE void store(f64<N> value, float* to) {
        write(__builtin_convertvector(value, f32<N>), to);
    }
};
template <> struct Element<double, double> {
    template <int N> static INLINE f64<N> load(const double* from) { return read<f64<N>>(from); }
    template <int N> static INLINE void store(f64<N> value, double* to) { write(value, to); }
};

// --- sign(c), where sign(±0) = +0 and sign(NaN) = NaN

template <class C, int N> struct Sign;

template <int N> struct Sign<float, N> {
    static INLINE f32<N> of(f32<N> c) {
        const i32<N> one = bits_as<i32<N>>((bits_as<i32<N>>(c) & INT32_MIN) | 0x3f800000);
        return bits_as<f32<N>>((one & (c != 0)) | (c != c));  // all bits set are a NaN
    }
};
template <int N> struct Sign<double, N> {
    static INLINE f64<N> of(f64<N> c) {
        const i64<N> one = (bits_as<i64<N>>(c) & INT64_MIN) | 0x3ff0000000000000;
        return bits_as<f64<N>>((one & (c != 0)) | (c != c));
    }
};

#if defined(__AVX512F__)
// One instruction that answers by class of number, a digit each, from the highest: positive A (+1),
// negative 9 (-1), +infinity, -infinity, +1, zero 8 (+0), and NaN of two kinds 2 (the NaN, quiet).
constexpr int SIGN_BY_CLASS = static_cast<int>(0xA9A9A822);

template <> struct Sign<float, 16> {
    static INLINE f32<16> of(f32<16> c) {
        const __m512 x = bits_as<__m512>(c);
        return bits_as<f32<16>>(_mm512_fixupimm_ps(x, x, _mm512_set1_epi32(SIGN_BY_CLASS), 0));
    }
};
template <> struct Sign<double, 8> {
    static INLINE f64<8> of(f64<8> c) {
        const __m512d x = bits_as<__m512d>(c);
        const __m512i table = _mm512_set1_epi64(static_cast<long long>(0xA9A9A822));
        return bits_as<f64<8>>(_mm512_fixupimm_pd(x, x, table, 0));
    }
};
#endif

}  // namespace
