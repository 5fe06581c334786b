// One Lion step over elements in a row: each is read once and written once.
//
// SPEC C5 to C9, and C18's flush. Compiled once for each set of instructions, as UPDATES, and with -ffp-contract=off:
// every operator below is one IEEE 754 operation. Fast-math flags of any kind would change bits.

#include "update.h"

#include "flushing.h"
#include "lanes.h"

namespace {

template <class C> using Lanes = typename Vector<C, VECTOR_BYTES / sizeof(C)>::type;

template <class C> struct Scalars {
    Lanes<C> beta1, one_minus_beta1, beta2, one_minus_beta2, lr, weight_decay;
};

// Elements of one turn, in two vectors. AMD's processors guess by a part of an address in which way of
// the cache its line lies. Where that part is the same of θ and m, each spoils the guess for the other,
// so that every change from one to the other costs a miss: both vectors of an array are read, and
// written, one right after the other.
template <class C> constexpr int N = VECTOR_BYTES / sizeof(C);
template <class C> constexpr int TURN = 2 * N<C>;

template <bool FLUSH, class C, class P, class M, class G>
INLINE void update_turn(P* theta, M* momentum, const G* grad, const Scalars<C>& k) {
    typedef Flushing<C, FLUSH> With;
    Lanes<C> t[2], m[2], g[2];
    for (int i = 0; i < 2; ++i) t[i] = Element<C, P>::template load<N<C>>(theta + i * N<C>);
    for (int i = 0; i < 2; ++i) m[i] = Element<C, M>::template load<N<C>>(momentum + i * N<C>);
    for (int i = 0; i < 2; ++i) g[i] = Element<C, G>::template load<N<C>>(grad + i * N<C>);
    for (int i = 0; i < 2; ++i) {
        t[i] = With::template operand<P>(t[i]);
        m[i] = With::template operand<M>(m[i]);
        g[i] = With::template operand<G>(g[i]);
        const auto a = With::product(k.beta1, m[i]);
        const auto b = With::product(k.one_minus_beta1, g[i]);
        const auto c = With::sum(a + b);
        const auto u = Sign<C, N<C>>::of(c);
        const auto d = With::product(k.weight_decay, t[i]);
        const auto s = With::sum(u + d);
        const auto e = With::product(k.lr, s);
        t[i] = With::sum(t[i] - e);
        const auto x = With::product(k.beta2, m[i]);
        const auto y = With::product(k.one_minus_beta2, g[i]);
        m[i] = With::template storable<M>(With::sum(x + y));
    }
    for (int i = 0; i < 2; ++i) Element<C, P>::template store<N<C>>(t[i], theta + i * N<C>);
    for (int i = 0; i < 2; ++i) Element<C, M>::template store<N<C>>(m[i], momentum + i * N<C>);
}

template <bool FLUSH, class C, class P, class M, class G>
void update(void* theta, void* momentum, const void* grad, int64_t n, const double* scalars) {
    auto* p = static_cast<P*>(theta);
    auto* m = static_cast<M*>(momentum);
    auto* g = static_cast<const G*>(grad);
    const auto everywhere = [&](Scalar which) {
        return static_cast<C>(scalars[which]) - Lanes<C>{};  // x - 0 keeps -0; 0 + x would not
    };
    const Scalars<C> k{everywhere(BETA1), everywhere(ONE_MINUS_BETA1), everywhere(BETA2),
                       everywhere(ONE_MINUS_BETA2), everywhere(LR), everywhere(WEIGHT_DECAY)};
    int64_t i = 0;
    for (; i + TURN<C> <= n; i += TURN<C>) update_turn<FLUSH, C>(p + i, m + i, g + i, k);
    if (i == n) return;
    // The rest, by the same operations beside zeros.
    const auto rest = static_cast<uint64_t>(n - i);
    P last_p[TURN<C>] = {};
    M last_m[TURN<C>] = {};
    G last_g[TURN<C>] = {};
    __builtin_memcpy(last_p, p + i, rest * sizeof(P));
    __builtin_memcpy(last_m, m + i, rest * sizeof(M));
    __builtin_memcpy(last_g, g + i, rest * sizeof(G));
    update_turn<FLUSH, C>(last_p, last_m, last_g, k);
    __builtin_memcpy(p + i, last_p, rest * sizeof(P));
    __builtin_memcpy(m + i, last_m, rest * sizeof(M));
}

#define GRADS(F, C, P, M) \
    {update<F, C, P, M, float16>, update<F, C, P, M, bfloat16>, update<F, C, P, M, float>, nullptr}
#define MOMENTA(F, P) {GRADS(F, float, P, float16), GRADS(F, float, P, bfloat16), GRADS(F, float, P, float), {}}
#define WIDE_GRADS(F, M)                                                                  \
    {update<F, double, double, M, float16>, update<F, double, double, M, bfloat16>,       \
     update<F, double, double, M, float>, update<F, double, double, M, double>}
#define PARAMS(F)                                                                         \
    {MOMENTA(F, float16), MOMENTA(F, bfloat16), MOMENTA(F, float),                        \
     {WIDE_GRADS(F, float16), WIDE_GRADS(F, bfloat16), WIDE_GRADS(F, float), WIDE_GRADS(F, double)}}

}  // namespace

extern const Updates UPDATES = {{PARAMS(false), PARAMS(FLUSHES_BY_COMPARISONS)}};
