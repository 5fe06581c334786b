// One Lion step over elements in a row: each is read once and written once.
//
// SPEC C5 to C9. Compiled once for each set of instructions, as UPDATES, and with -ffp-contract=off:
// every operator below is one IEEE 754 operation. Fast-math flags of any kind would change bits.

#include "update.h"

#include "lanes.h"

namespace {

template <class C, int N> struct Scalars {
    typename Vector<C, N>::type beta1, one_minus_beta1, beta2, one_minus_beta2, lr, weight_decay;
};

template <class C, int N, class P, class M, class G>
INLINE void update_vector(P* theta, M* momentum, const G* grad, const Scalars<C, N>& k) {
    const auto t = Element<C, P>::template load<N>(theta);
    const auto m = Element<C, M>::template load<N>(momentum);
    const auto g = Element<C, G>::template load<N>(grad);
    const auto a = k.beta1 * m;
    const auto b = k.one_minus_beta1 * g;
    const auto c = a + b;
    const auto u = Sign<C, N>::of(c);
    const auto d = k.weight_decay * t;
    const auto s = u + d;
    const auto e = k.lr * s;
    Element<C, P>::template store<N>(t - e, theta);
    const auto x = k.beta2 * m;
    const auto y = k.one_minus_beta2 * g;
    Element<C, M>::template store<N>(x + y, momentum);
}

template <class C, class P, class M, class G>
void update(void* theta, void* momentum, const void* grad, int64_t n, const double* scalars) {
    constexpr int N = VECTOR_BYTES / static_cast<int>(sizeof(C));
    auto* p = static_cast<P*>(theta);
    auto* m = static_cast<M*>(momentum);
    auto* g = static_cast<const G*>(grad);
    const auto everywhere = [&](Scalar which) {
        return static_cast<C>(scalars[which]) - typename Vector<C, N>::type{};  // -0 as well: 0 + -0 is +0
    };
    const Scalars<C, N> k{everywhere(BETA1), everywhere(ONE_MINUS_BETA1), everywhere(BETA2),
                          everywhere(ONE_MINUS_BETA2), everywhere(LR), everywhere(WEIGHT_DECAY)};
    int64_t i = 0;
    for (; i + N <= n; i += N) update_vector<C, N>(p + i, m + i, g + i, k);
    if (i == n) return;
    // The rest, by the same operations beside zeros.
    const auto rest = static_cast<uint64_t>(n - i);
    P last_p[N] = {};
    M last_m[N] = {};
    G last_g[N] = {};
    __builtin_memcpy(last_p, p + i, rest * sizeof(P));
    __builtin_memcpy(last_m, m + i, rest * sizeof(M));
    __builtin_memcpy(last_g, g + i, rest * sizeof(G));
    update_vector<C, N>(last_p, last_m, last_g, k);
    __builtin_memcpy(p + i, last_p, rest * sizeof(P));
    __builtin_memcpy(m + i, last_m, rest * sizeof(M));
}

#define GRADS(C, P, M) {update<C, P, M, float16>, update<C, P, M, bfloat16>, update<C, P, M, float>, nullptr}
#define MOMENTA(P) {GRADS(float, P, float16), GRADS(float, P, bfloat16), GRADS(float, P, float), {}}
#define WIDE_GRADS(M)                                                                     \
    {update<double, double, M, float16>, update<double, double, M, bfloat16>,             \
     update<double, double, M, float>, update<double, double, M, double>}

}  // namespace

extern const Updates UPDATES = {{
    MOMENTA(float16),
    MOMENTA(bfloat16),
    MOMENTA(float),
    {WIDE_GRADS(float16), WIDE_GRADS(bfloat16), WIDE_GRADS(float), WIDE_GRADS(double)},
}};
