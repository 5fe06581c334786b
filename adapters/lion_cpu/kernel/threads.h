// A task run by several threads at once: by the caller's team, else by threads begun for the task.

#pragma once

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <pthread.h>
#endif

typedef void Task(void* shared);

// Runs a task in each of so many threads and returns when all have: OpenMP's entry point as GCC's and
// Clang's libraries have it, GOMP_parallel. A framework's own team is awake already when a step comes,
// and threads beside it would have to share the processors with it.
typedef void Team(Task* task, void* shared, unsigned threads, unsigned flags);

namespace {

struct Work {
    Task* task;
    void* shared;
};

const int MOST_THREADS = 256;

#if defined(_WIN32)
typedef HANDLE Thread;
inline DWORD WINAPI begin(void* work) {
    static_cast<Work*>(work)->task(static_cast<Work*>(work)->shared);
    return 0;
}
inline bool start(Thread* thread, Work* work) {
    *thread = CreateThread(nullptr, 0, begin, work, 0, nullptr);
    return *thread != nullptr;
}
inline void wait(Thread thread) {
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}
#else
typedef pthread_t Thread;
inline void* begin(void* work) {
    static_cast<Work*>(work)->task(static_cast<Work*>(work)->shared);
    return nullptr;
}
inline bool start(Thread* thread, Work* work) { return pthread_create(thread, nullptr, begin, work) == 0; }
inline void wait(Thread thread) { pthread_join(thread, nullptr); }
#endif

// The tasks share out the work among themselves, so that fewer threads than asked for will do.
inline void run_together(Task* task, void* shared, int threads, Team* team) {
    if (threads > 1 && team != nullptr) {
        team(task, shared, static_cast<unsigned>(threads), 0);
        return;
    }
    Work work{task, shared};
    Thread others[MOST_THREADS];
    int started = 0;
    while (started + 1 < threads && started < MOST_THREADS && start(&others[started], &work)) ++started;
    task(shared);
    while (started > 0) wait(others[--started]);
}

}  // namespace
