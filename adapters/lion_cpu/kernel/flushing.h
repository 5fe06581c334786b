// SPEC C18's flush by comparisons, for processors whose own mode is another rule; see lion_ref/flushed.py.
//
// With FLUSH false nothing is compared, and each function below is the one operation in it.

#pragma once

#include "lanes.h"

namespace {

// Patterns of 2^exponent and, less half a last place of a format of so many bits, of what rounds up to it.
constexpr int64_t power64(int exponent) { return static_cast<int64_t>(exponent + 1023) << 52; }
constexpr int64_t rounds_up_to64(int exponent, int precision) {
    return power64(exponent) - (int64_t{1} << (52 - precision));
}

template <class C> struct Numbers;
template <> struct Numbers<float> {
    typedef int32_t Integer;
    static constexpr Integer SMALLEST = 0x00800000, SCALED = SMALLEST + (64 << 23);
};
template <> struct Numbers<double> {
    typedef int64_t Integer;
    static constexpr Integer SMALLEST = power64(-1022), SCALED = power64(-1022 + 64);
};

// By compute and storage type, the magnitudes below which an operand is subnormal and a result is tiny
// where it is stored; 0 where none is. float16's subnormals are kept.
template <class C, class S> constexpr typename Numbers<C>::Integer SUBNORMAL_BELOW = 0;
template <> constexpr int32_t SUBNORMAL_BELOW<float, bfloat16> = Numbers<float>::SMALLEST;
template <> constexpr int32_t SUBNORMAL_BELOW<float, float> = Numbers<float>::SMALLEST;
template <> constexpr int64_t SUBNORMAL_BELOW<double, bfloat16> = power64(-126);
template <> constexpr int64_t SUBNORMAL_BELOW<double, float> = power64(-126);
template <> constexpr int64_t SUBNORMAL_BELOW<double, double> = Numbers<double>::SMALLEST;

template <class C, class S> constexpr typename Numbers<C>::Integer TINY_BELOW = 0;
template <> constexpr int64_t TINY_BELOW<double, bfloat16> = rounds_up_to64(-126, 8);
template <> constexpr int64_t TINY_BELOW<double, float> = rounds_up_to64(-126, 24);

template <class C, bool FLUSH> struct Flushing {
    typedef typename Numbers<C>::Integer Integer;
    typedef typename Vector<Integer, VECTOR_BYTES / sizeof(C)>::type Integers;
    typedef typename Vector<C, VECTOR_BYTES / sizeof(C)>::type Lanes;
    static constexpr Integer MAGNITUDE = static_cast<Integer>(~(uint64_t{1} << (8 * sizeof(C) - 1)));

    // x, or a zero of its sign where the other's magnitude is below the limit. A NaN's never is.
    static INLINE Lanes zeroed(Lanes x, Lanes compared, Integer limit) {
        const Integers tiny = (bits_as<Integers>(compared) & MAGNITUDE) < limit;
        return bits_as<Lanes>(bits_as<Integers>(x) & ~(tiny & MAGNITUDE));
    }
    template <class S> static INLINE Lanes operand(Lanes x) {
        if constexpr (FLUSH && SUBNORMAL_BELOW<C, S> != 0) return zeroed(x, x, SUBNORMAL_BELOW<C, S>);
        return x;
    }
    // Scaled, a product is rounded as with unbounded exponent range; where the scaled scalar overflows,
    // none is tiny.
    static INLINE Lanes product(Lanes scalar, Lanes x) {
        const Lanes result = scalar * x;
        if constexpr (FLUSH) return zeroed(result, scalar * C{0x1p64} * x, Numbers<C>::SCALED);
        return result;
    }
    static INLINE Lanes sum(Lanes exact_if_tiny) {
        if constexpr (FLUSH) return zeroed(exact_if_tiny, exact_if_tiny, Numbers<C>::SMALLEST);
        return exact_if_tiny;
    }
    template <class S> static INLINE Lanes storable(Lanes x) {
        if constexpr (FLUSH && TINY_BELOW<C, S> != 0) return zeroed(x, x, TINY_BELOW<C, S>);
        return x;
    }
};

}  // namespace
