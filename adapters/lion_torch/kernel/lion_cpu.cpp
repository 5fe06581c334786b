// One Lion step over many tensors in one pass: each element is read once and written once.
//
// SPEC C5 to C9. Compiled with -ffp-contract=off, so every operator below is one IEEE 754 operation;
// fast-math flags of any kind would change bits. The only header is the C++ standard library's.

#include <cfenv>
#include <cstdint>
#include <cstring>
#include <algorithm>

namespace {

struct bfloat16 { std::uint16_t bits; };

template <class To, class From> To bit_cast(From from) {
    static_assert(sizeof(To) == sizeof(From), "bit_cast between sizes");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

// Widening is exact.
template <class C, class S> C load(S stored) { return static_cast<C>(stored); }
template <> float load<float, bfloat16>(bfloat16 stored) {
    return bit_cast<float>(static_cast<std::uint32_t>(stored.bits) << 16);
}
template <> double load<double, bfloat16>(bfloat16 stored) {
    return load<float, bfloat16>(stored);
}

// Storing rounds once, to nearest even. The compiler's own conversions do that.
template <class S, class C> struct Store {
    static S round(C value) { return static_cast<S>(value); }
};
template <> struct Store<bfloat16, float> {
    static bfloat16 round(float value) {
        const auto bits = bit_cast<std::uint32_t>(value);
        const std::uint32_t nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        // Rounding up could turn a NaN into an infinity.
        return {static_cast<std::uint16_t>(value != value ? 0x7fc0 : nearest)};
    }
};
template <> struct Store<bfloat16, double> {
    static bfloat16 round(double value) {
        // By way of a float32 rounded to odd, which keeps what the second rounding has to know.
        auto bits = bit_cast<std::uint32_t>(static_cast<float>(value));
        double back = bit_cast<float>(bits);
        if ((back < 0 ? -back : back) > (value < 0 ? -value : value)) {
            bits -= 1;
            back = bit_cast<float>(bits);
        }
        return Store<bfloat16, float>::round(bit_cast<float>(bits | (back != value ? 1u : 0u)));
    }
};

template <class C> struct Scalars { C beta1, one_minus_beta1, beta2, one_minus_beta2, lr, weight_decay; };

template <class P, class M, class G, class C>
void update(P* __restrict theta, M* __restrict momentum, const G* __restrict grad, std::int64_t n,
            const Scalars<C> k) {
    for (std::int64_t i = 0; i < n; ++i) {
        const C t = load<C>(theta[i]), m = load<C>(momentum[i]), g = load<C>(grad[i]);
        const C a = k.beta1 * m;
        const C b = k.one_minus_beta1 * g;
        const C c = a + b;
        const C u = c > 0 ? C(1) : c < 0 ? C(-1) : c == 0 ? C(0) : c;  // NaN stays NaN
        const C d = k.weight_decay * t;
        const C s = u + d;
        const C e = k.lr * s;
        theta[i] = Store<P, C>::round(t - e);
        const C x = k.beta2 * m;
        const C y = k.one_minus_beta2 * g;
        momentum[i] = Store<M, C>::round(x + y);
    }
}

struct Tensors {
    std::int64_t count;
    void* const* theta;
    void* const* momentum;
    const void* const* grad;
    const std::int64_t* sizes;
};

// Elements first to last of all tensors laid end to end.
template <class P, class M, class G, class C>
void update_range(const Tensors& all, std::int64_t first, std::int64_t last, const Scalars<C>& k) {
    std::int64_t start = 0;
    for (std::int64_t i = 0; i < all.count && start < last; start += all.sizes[i], ++i) {
        const std::int64_t from = std::max<std::int64_t>(first - start, 0);
        const std::int64_t to = std::min(last - start, all.sizes[i]);
        if (from < to) {
            update<P, M, G, C>(static_cast<P*>(all.theta[i]) + from, static_cast<M*>(all.momentum[i]) + from,
                               static_cast<const G*>(all.grad[i]) + from, to - from, k);
        }
    }
}

template <class P, class M, class G, class C>
int run(const Tensors& all, const double* scalars, int threads) {
    // Rounded on the host already: these conversions are exact.
    const Scalars<C> k{C(scalars[0]), C(scalars[1]), C(scalars[2]), C(scalars[3]), C(scalars[4]), C(scalars[5])};
    std::int64_t total = 0;
    for (std::int64_t i = 0; i < all.count; ++i) total += all.sizes[i];
    const std::int64_t grain = 32768;
    const std::int64_t parts = std::min<std::int64_t>(threads, (total + grain - 1) / grain);
    if (parts <= 1) {
        update_range<P, M, G, C>(all, 0, total, k);
        return 0;
    }
    // Shares end at multiples of 64 elements, so that no two threads write to one cache line of a
    // large tensor.
    const std::int64_t share = ((total + parts - 1) / parts + 63) / 64 * 64;
#pragma omp parallel for schedule(static) num_threads(static_cast<int>(parts))
    for (std::int64_t part = 0; part < parts; ++part) {
        // A thread keeps the environment it began with: it may flush though the caller does not.
        std::fenv_t before;
        std::fegetenv(&before);
        std::fesetenv(FE_DFL_ENV);
        update_range<P, M, G, C>(all, part * share, std::min(total, (part + 1) * share), k);
        std::fesetenv(&before);
    }
    return 0;
}

enum Dtype { FLOAT16 = 0, BFLOAT16 = 1, FLOAT32 = 2, FLOAT64 = 3 };

template <class P, class M, class C>
int with_grad(int grad, const Tensors& all, const double* scalars, int threads) {
    switch (grad) {
        case FLOAT16: return run<P, M, _Float16, C>(all, scalars, threads);
        case BFLOAT16: return run<P, M, bfloat16, C>(all, scalars, threads);
        case FLOAT32: return run<P, M, float, C>(all, scalars, threads);
        case FLOAT64: if constexpr (sizeof(C) == 8) return run<P, M, double, C>(all, scalars, threads);
    }
    return 1;
}

template <class P, class C>
int with_momentum(int momentum, int grad, const Tensors& all, const double* scalars, int threads) {
    switch (momentum) {
        case FLOAT16: return with_grad<P, _Float16, C>(grad, all, scalars, threads);
        case BFLOAT16: return with_grad<P, bfloat16, C>(grad, all, scalars, threads);
        case FLOAT32: return with_grad<P, float, C>(grad, all, scalars, threads);
        case FLOAT64: if constexpr (sizeof(C) == 8) return with_grad<P, double, C>(grad, all, scalars, threads);
    }
    return 1;
}

}  // namespace

// Returns 0, or 1 for a triple of dtypes that is not legal; nothing has been written then.
extern "C" int lion_step(std::int64_t count, void* const* theta, void* const* momentum,
                         const void* const* grad, const std::int64_t* sizes, int theta_dtype,
                         int momentum_dtype, int grad_dtype, const double* scalars, int threads) {
    const Tensors all{count, theta, momentum, grad, sizes};
    switch (theta_dtype) {
        case FLOAT16: return with_momentum<_Float16, float>(momentum_dtype, grad_dtype, all, scalars, threads);
        case BFLOAT16: return with_momentum<bfloat16, float>(momentum_dtype, grad_dtype, all, scalars, threads);
        case FLOAT32: return with_momentum<float, float>(momentum_dtype, grad_dtype, all, scalars, threads);
        case FLOAT64: return with_momentum<double, double>(momentum_dtype, grad_dtype, all, scalars, threads);
    }
    return 1;
}
