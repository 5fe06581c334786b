/* As much of CUDA's runtime as the starter asks for, on the CPU: what a program does around its
 * kernel, and what its kernel does, are then seen without a GPU. What nvcc makes of it is not. */
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>

#define __global__

struct dim3 { unsigned x; };
static dim3 blockIdx, blockDim, threadIdx;

enum cudaError_t { cudaSuccess, cudaErrorMemoryAllocation };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };

/* Beyond this a device of the stand-in is full. */
static const size_t full = (size_t)1 << 24;

static cudaError_t cudaGetDeviceCount(int *count) { *count = 1; return cudaSuccess; }
static cudaError_t cudaGetLastError() { return cudaSuccess; }
static const char *cudaGetErrorString(cudaError_t error) { return error ? "out of memory" : "no error"; }

static cudaError_t cudaMalloc(void **at, size_t bytes)
{
    if (bytes > full) return cudaErrorMemoryAllocation;
    *at = malloc(bytes);
    return cudaSuccess;
}

static cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind)
{
    memcpy(to, from, bytes);
    return cudaSuccess;
}

static void cudaFree(void *at) { free(at); }

/* kernel<<<blocks, threads>>>(given...) */
template <typename Kernel, typename... Given>
static void launch(unsigned blocks, unsigned threads, Kernel kernel, Given... given)
{
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x)
            kernel(given...);
}
