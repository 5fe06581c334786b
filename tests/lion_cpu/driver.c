/* The compiled CPU kernel behind a pipe (docs/reference/pipe.md), where no Python runs: under an emulator.
 *
 *     driver LIBRARY [flush]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#include <windows.h>
#else
#include <dlfcn.h>
#endif

typedef int Step(int64_t count, void *const *theta, void *const *momentum, const void *const *grad,
                 const int64_t *sizes, int theta_dtype, int momentum_dtype, int grad_dtype,
                 const double *scalars, int flush, int threads, void *team);

static Step *load(const char *library)
{
#if defined(_WIN32)
    HMODULE loaded = LoadLibraryA(library);
    _setmode(_fileno(stdout), _O_BINARY);
    return loaded ? (Step *)(void *)GetProcAddress(loaded, "lion_step") : NULL;
#else
    void *loaded = dlopen(library, RTLD_NOW);
    return loaded ? (Step *)dlsym(loaded, "lion_step") : NULL;
#endif
}

/* By the numbers that the kernel names dtypes by. */
static const char *const NAMES[] = {"float16", "bfloat16", "float32", "float64"};
static const int SIZES[] = {2, 2, 4, 8};
enum { DTYPES = 4, FLOAT64 = 3 };

static int dtype_named(const char *name)
{
    int dtype = 0;
    while (dtype < DTYPES && strcmp(NAMES[dtype], name) != 0) ++dtype;
    return dtype;
}

static double scalar(uint64_t bits) { double value; memcpy(&value, &bits, sizeof value); return value; }

/* SPEC C18: tiny is what is so rounded with unbounded exponent range. */
static double flushed(double value, int wide)
{
    const double limit = wide ? 0x1p-1022 : 0x1p-126 * (1 - 0x1p-25);
    return -limit < value && value < limit ? value * 0 : value;
}

int main(int argc, char **argv)
{
    char names[3][16];
    int64_t n;
    uint64_t bits[4];
    Step *const step = argc > 1 ? load(argv[1]) : NULL;
    const int flush = argc > 2 && strcmp(argv[2], "flush") == 0;
    if (step == NULL) return fprintf(stderr, "no lion_step in %s\n", argc > 1 ? argv[1] : "?"), 2;

    printf("lion-pipe 1\nname lion_cpu\nsemantics %s\n", flush ? "subnormals=flush" : "canonical");
    for (int p = 0; p < DTYPES; ++p)
        for (int m = 0; m < DTYPES; ++m)
            for (int g = 0; g < DTYPES; ++g)
                if (p == FLOAT64 || (m < FLOAT64 && g < FLOAT64))
                    printf("dtypes %s %s %s\n", NAMES[p], NAMES[m], NAMES[g]);
    printf("ready\n");
    fflush(stdout);

    while (scanf(" step %15s %15s %15s %" SCNd64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
                 names[0], names[1], names[2], &n, &bits[0], &bits[1], &bits[2], &bits[3]) == 8) {
        const double beta1 = scalar(bits[1]), beta2 = scalar(bits[2]);
        double scalars[] = {beta1, 1 - beta1, beta2, 1 - beta2, scalar(bits[0]), scalar(bits[3])};
        int dtypes[3];
        char *arrays[3];
        for (int k = 0; k < 3; ++k) {
            dtypes[k] = dtype_named(names[k]);
            arrays[k] = malloc((size_t)n * SIZES[dtypes[k]] + 1);
        }
        if (flush)
            for (int k = 0; k < 6; ++k) scalars[k] = flushed(scalars[k], dtypes[0] == FLOAT64);
        if (dtypes[0] != FLOAT64)
            for (int k = 0; k < 6; ++k) scalars[k] = (float)scalars[k];
        for (int64_t i = 0; i < n; ++i)
            for (int k = 0; k < 3; ++k) {
                uint64_t pattern;
                if (scanf("%" SCNx64, &pattern) != 1) return 1;
                memcpy(arrays[k] + i * SIZES[dtypes[k]], &pattern, SIZES[dtypes[k]]);
            }
        void *theta = arrays[0], *momentum = arrays[1];
        const void *grad = arrays[2];
        if (step(1, &theta, &momentum, &grad, &n, dtypes[0], dtypes[1], dtypes[2], scalars, flush, 1, NULL))
            return fprintf(stderr, "lion_step refuses the dtypes\n"), 1;
        for (int64_t i = 0; i < n; ++i) {
            for (int k = 0; k < 2; ++k) {
                uint64_t pattern = 0;
                memcpy(&pattern, arrays[k] + i * SIZES[dtypes[k]], SIZES[dtypes[k]]);
                printf("%0*" PRIx64 "%c", 2 * SIZES[dtypes[k]], pattern, k ? '\n' : ' ');
            }
        }
        printf("end\n");
        fflush(stdout);
        for (int k = 0; k < 3; ++k) free(arrays[k]);
    }
    return 0;
}
