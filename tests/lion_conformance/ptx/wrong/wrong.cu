/* Kernels with one thing wrong in each, which the judge has to tell apart. compile.sh compiles them. */
#include <cuda_bf16.h>

#define KERNEL(NAME, TYPE)                                                                         \
    extern "C" __global__ void NAME(TYPE *param, float *momentum, const TYPE *grad, int size,      \
                                    float lr, float beta1, float one_minus_beta1, float beta2,     \
                                    float one_minus_beta2, float weight_decay)
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

/* One element, in order: the sign is an expression of c. */
#define UPDATE(I, GRAD, SIGN)                                                                      \
    {                                                                                              \
        const float p = param[I], m = momentum[I], g = GRAD;                                       \
        const float c = beta1 * m + one_minus_beta1 * g;                                           \
        param[I] = p - lr * ((SIGN) + weight_decay * p);                                           \
        momentum[I] = beta2 * m + one_minus_beta2 * g;                                             \
    }

static __device__ float sign(float c)
{
    return c > 0 ? 1.0f : c < 0 ? -1.0f : c == 0 ? 0.0f : c;
}

/* What is computed */

KERNEL(sign_of_zero, float)
{
    const int i = INDEX;
    if (i >= size) return;
    UPDATE(i, grad[i], c > 0 ? 1.0f : c <= 0 ? -1.0f : c);
}

/* Zeros and NaN are what is left, and step like negative numbers. */
KERNEL(sign_of_nan, float)
{
    const int i = INDEX;
    if (i >= size) return;
    UPDATE(i, grad[i], c > 0 ? 1.0f : -1.0f);
}

KERNEL(wrong_beta, float)
{
    const int i = INDEX;
    if (i >= size) return;
    beta2 = beta1;
    UPDATE(i, grad[i], sign(c));
}

KERNEL(coupled_decay, float)
{
    const int i = INDEX;
    if (i >= size) return;
    const float decay = weight_decay * param[i];
    weight_decay = 0;
    UPDATE(i, grad[i] + decay, sign(c));
}

/* bfloat16 */

/* The decayed parameter is stored in 16 bits, and read again for the step. */
KERNEL(stored_twice, __nv_bfloat16)
{
    const int i = INDEX;
    if (i >= size) return;
    const float m = momentum[i], g = __bfloat162float(grad[i]);
    param[i] = __float2bfloat16_rn(__bfloat162float(param[i]) * (1 - lr * weight_decay));
    const float u = sign(beta1 * m + one_minus_beta1 * g);
    param[i] = __float2bfloat16_rn(__bfloat162float(param[i]) - lr * u);
    momentum[i] = beta2 * m + one_minus_beta2 * g;
}

KERNEL(truncated, __nv_bfloat16)
{
    const int i = INDEX;
    if (i >= size) return;
    const float p = __bfloat162float(param[i]), m = momentum[i], g = __bfloat162float(grad[i]);
    const float s = sign(beta1 * m + one_minus_beta1 * g) + weight_decay * p;
    param[i] = __ushort_as_bfloat16(__float_as_uint(p - lr * s) >> 16);
    momentum[i] = beta2 * m + one_minus_beta2 * g;
}

/* Which elements */

KERNEL(without_tail, float)
{
    const int i = INDEX;
    if (i >= size / 4 * 4) return;
    UPDATE(i, grad[i], sign(c));
}

KERNEL(one_too_many, float)
{
    const int i = INDEX;
    if (i > size) return;
    UPDATE(i, grad[i], sign(c));
}

/* The last thread of a program and the first of the next have the same element. */
KERNEL(overlapping, float)
{
    const int i = blockIdx.x * (blockDim.x - 1) + threadIdx.x;
    if (i >= size) return;
    UPDATE(i, grad[i], sign(c));
}

/* What four do not divide comes first, and the vectors then begin where no vector may. */
KERNEL(misaligned, float)
{
    const int thread = INDEX, tail = size % 4, i = tail + 4 * thread;
    if (thread < tail) UPDATE(thread, grad[thread], sign(c));
    if (i >= size) return;
    const float4 four = *(const float4 *)(grad + i);
    UPDATE(i, four.x, sign(c));
    UPDATE(i + 1, four.y, sign(c));
    UPDATE(i + 2, four.z, sign(c));
    UPDATE(i + 3, four.w, sign(c));
}

/* A loop over the grid, whose stride is that of one program less. */
KERNEL(never_ends, float)
{
#pragma unroll 1
    for (int i = INDEX; i < size; i += (gridDim.x - 1) * blockDim.x)
        UPDATE(i, grad[i], sign(c));
}

/* Shared memory: two gradients a thread, which another thread may have read. */

KERNEL(through_shared, float)
{
    __shared__ float staged[512];
    const int start = blockIdx.x * 512, t = threadIdx.x, i = start + 2 * t;
    if (start + t < size) staged[t] = grad[start + t];
    if (start + t + 256 < size) staged[t + 256] = grad[start + t + 256];
    __syncthreads();
    if (i < size) UPDATE(i, staged[2 * t], sign(c));
    if (i + 1 < size) UPDATE(i + 1, staged[2 * t + 1], sign(c));
}

KERNEL(without_barrier, float)
{
    __shared__ float staged[512];
    const int start = blockIdx.x * 512, t = threadIdx.x, i = start + 2 * t;
    if (start + t < size) staged[t] = grad[start + t];
    if (start + t + 256 < size) staged[t + 256] = grad[start + t + 256];
    if (i < size) UPDATE(i, staged[2 * t], sign(c));
    if (i + 1 < size) UPDATE(i + 1, staged[2 * t + 1], sign(c));
}

/* The second half of the words is written by the first half of the threads alone. */
KERNEL(unwritten_word, float)
{
    __shared__ float staged[512];
    const int start = blockIdx.x * 512, t = threadIdx.x, i = start + 2 * t;
    if (start + t < size) staged[t] = grad[start + t];
    if (t < 128 && start + t + 256 < size) staged[t + 256] = grad[start + t + 256];
    __syncthreads();
    if (i < size) UPDATE(i, staged[2 * t], sign(c));
    if (i + 1 < size) UPDATE(i + 1, staged[2 * t + 1], sign(c));
}
