// The door to the kernel: one Lion step over many tensors, shared out among threads. A plain C ABI,
// which needs no header of Python's or of any framework's.

#include <stdint.h>

#include "environment.h"
#include "threads.h"
#include "update.h"

#if defined(_WIN32)
#define EXPORTED extern "C" __declspec(dllexport)
#else
#define EXPORTED extern "C" __attribute__((visibility("default")))
#endif

namespace {

struct Tensors {
    int64_t count;
    void* const* theta;
    void* const* momentum;
    const void* const* grad;
    const int64_t* sizes;
};

struct Step {
    Tensors all;
    int64_t theta_bytes, momentum_bytes, grad_bytes;  // of one element
    Update* update;
    const double* scalars;
    bool flush;
    int64_t total, chunk;
    int64_t taken;  // elements that some thread has, or has done
};

template <class T> T* at(T* start, int64_t bytes) {
    return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(start) + static_cast<uintptr_t>(bytes));
}

// Each thread takes the next elements of all tensors laid end to end, until none are left.
void take_chunks(void* shared) {
    Step& step = *static_cast<Step*>(shared);
    const Environment before = enter_environment(step.flush);
    int64_t tensor = 0, start = 0;  // the tensor that the chunk before ended in, and its first element
    for (;;) {
        int64_t first = __atomic_fetch_add(&step.taken, step.chunk, __ATOMIC_RELAXED);
        if (first >= step.total) break;
        const int64_t last = first + step.chunk < step.total ? first + step.chunk : step.total;
        while (first < last) {
            const int64_t size = step.all.sizes[tensor];
            if (first >= start + size) {
                start += size;
                ++tensor;
                continue;
            }
            const int64_t from = first - start;
            const int64_t n = (last < start + size ? last : start + size) - first;
            step.update(at(step.all.theta[tensor], from * step.theta_bytes),
                        at(step.all.momentum[tensor], from * step.momentum_bytes),
                        at(step.all.grad[tensor], from * step.grad_bytes), n, step.scalars);
            first += n;
        }
    }
    restore_environment(before);
}

// Asked once: a virtual machine may take long to answer. Threads that ask at once get one answer.
const Updates& updates() {
    static const Updates* found = nullptr;
    const Updates* known = __atomic_load_n(&found, __ATOMIC_RELAXED);
    if (known == nullptr) {
        known = widest_updates();
        __atomic_store_n(&found, known, __ATOMIC_RELAXED);
    }
    return *known;
}

const int64_t BYTES[DTYPES] = {2, 2, 4, 8};

const int64_t GRAIN = 65536;  // elements that are worth another thread

// Elements that a thread takes at a time: few enough that others can take over from one that is slow, and
// many, as a processor prefetches past a chunk's end into what another thread writes.
int64_t chunk_of(int64_t total, int64_t threads) {
    const int64_t share = total / (4 * threads) + 1, most = 1 << 20;
    return share < GRAIN ? GRAIN : share > most ? most : share;
}

}  // namespace

// One step of `count` tensors, in place; every address is that of the first of `sizes[i]` elements in
// a row. With `flush` subnormals are flushed as SPEC C18 has it, else kept; `scalars` are already.
// `threads` is how many may work on it, by `team` if there is one (see threads.h).
// Returns 0, or 1 for dtypes that are not legal together; nothing has been written then.
EXPORTED int lion_step(
    int64_t count, void* const* theta, void* const* momentum, const void* const* grad,
    const int64_t* sizes, int theta_dtype, int momentum_dtype, int grad_dtype, const double* scalars,
    int flush, int threads, Team* team) {
    const auto legal = [](int dtype) { return dtype >= 0 && dtype < DTYPES; };
    if (!(legal(theta_dtype) && legal(momentum_dtype) && legal(grad_dtype))) return 1;
    Update* const update = updates().of[flush != 0][theta_dtype][momentum_dtype][grad_dtype];
    if (update == nullptr) return 1;
    int64_t total = 0;
    for (int64_t i = 0; i < count; ++i) total += sizes[i];
    const int64_t worthwhile = total / GRAIN < 1 ? 1 : total / GRAIN;
    const int64_t used = worthwhile < threads ? worthwhile : threads < 1 ? 1 : threads;
    Step step{{count, theta, momentum, grad, sizes}, BYTES[theta_dtype], BYTES[momentum_dtype],
              BYTES[grad_dtype], update, scalars, flush != 0, total, chunk_of(total, used), 0};
    run_together(take_chunks, &step, static_cast<int>(used), team);
    return 0;
}

// A hash of the sources that it was built from: hatch_build.py gives it.
EXPORTED const char* lion_sources() { return LION_SOURCES; }
