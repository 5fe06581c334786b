/* Lion in C99 as a port for `lion-conformance verify --exec`; docs/reference/pipe.md is the format.
 *
 *     cc -std=c99 -O2 -ffp-contract=off lion_port.c -o lion_port
 *     lion-conformance verify --exec ./lion_port
 *
 * It takes float32 and float64. The bits are SPEC.md's if the compiler neither fuses a product and
 * a sum (-ffp-contract=off) nor keeps more precision than a type has (FLT_EVAL_METHOD 0; x87 code
 * does: add -msse2 -mfpmath=sse there).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

/* η, β1, β2, λ as they came: binary64. */
struct scalars { double lr, beta1, beta2, weight_decay; };

/* The update in one type. Complements are formed in double; then each scalar is rounded once. */
#define DEFINE_STEP(NAME, REAL)                                                               \
    static void NAME(const struct scalars *h, REAL *theta, REAL *m, REAL g)                   \
    {                                                                                         \
        const REAL lr = (REAL)h->lr, weight_decay = (REAL)h->weight_decay;                    \
        const REAL beta1 = (REAL)h->beta1, beta1_complement = (REAL)(1.0 - h->beta1);         \
        const REAL beta2 = (REAL)h->beta2, beta2_complement = (REAL)(1.0 - h->beta2);         \
        const REAL a = beta1 * *m;                                                            \
        const REAL b = beta1_complement * g;                                                  \
        const REAL c = a + b;                                                                 \
        /* +0 for both zeros, and a NaN for a NaN, which compares unequal to itself. */       \
        const REAL u = c > 0 ? 1 : c < 0 ? -1 : c == 0 ? 0 : c;                               \
        const REAL d = weight_decay * *theta;                                                 \
        const REAL s = u + d;                                                                 \
        const REAL e = lr * s;                                                                \
        const REAL x = beta2 * *m;                                                            \
        const REAL y = beta2_complement * g;                                                  \
        *theta = *theta - e;                                                                  \
        *m = x + y;                                                                           \
    }

DEFINE_STEP(step_float, float)
DEFINE_STEP(step_double, double)

static double to_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* One element in, one out; 0 where the input ends or is no hexadecimal. */
static int answer_float(const struct scalars *h)
{
    uint32_t bits[3];
    float values[3];
    if (scanf("%" SCNx32 "%" SCNx32 "%" SCNx32, &bits[0], &bits[1], &bits[2]) != 3) return 0;
    memcpy(values, bits, sizeof values);
    step_float(h, &values[0], &values[1], values[2]);
    memcpy(bits, values, sizeof bits);
    printf("%08" PRIx32 " %08" PRIx32 "\n", bits[0], bits[1]);
    return 1;
}

static int answer_double(const struct scalars *h)
{
    uint64_t bits[3];
    double values[3];
    if (scanf("%" SCNx64 "%" SCNx64 "%" SCNx64, &bits[0], &bits[1], &bits[2]) != 3) return 0;
    memcpy(values, bits, sizeof values);
    step_double(h, &values[0], &values[1], values[2]);
    memcpy(bits, values, sizeof bits);
    printf("%016" PRIx64 " %016" PRIx64 "\n", bits[0], bits[1]);
    return 1;
}

int main(void)
{
    char theta[16], m[16], g[16];
    unsigned long count;
    uint64_t bits[4];

    printf("lion-pipe 1\n"
           "name lion_port.c\n"
           "dtypes float32 float32 float32\n"
           "dtypes float64 float64 float64\n"
           "semantics canonical\n"
           "ready\n");
    fflush(stdout);
    while (scanf(" step %15s %15s %15s %lu %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
                 theta, m, g, &count, &bits[0], &bits[1], &bits[2], &bits[3]) == 8) {
        const struct scalars h = { to_double(bits[0]), to_double(bits[1]),
                                   to_double(bits[2]), to_double(bits[3]) };
        const int is_float = strcmp(theta, "float32") == 0;
        while (count-- > 0)
            if (!(is_float ? answer_float(&h) : answer_double(&h))) return 1;
        printf("end\n");
        fflush(stdout);
    }
    return 0;
}
