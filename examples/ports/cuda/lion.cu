/* Lion in CUDA: three kernels, each judged without a GPU by the PTX that nvcc makes of them.
 *
 *     sh compile.sh lion.cu lion.ptx -fmad=false
 *     lion-conformance verify --ptx lion.ptx --kernel kernel.toml
 *
 * -fmad=false: nvcc otherwise rounds a product and a sum as one. The scalars are formed on the host in
 * double, 1 - beta too, and each is rounded once as it is passed.
 */
#include <cuda_bf16.h>

/* +0 for both zeros, and a NaN for a NaN, which compares unequal to itself. */
static __device__ float sign(float c)
{
    return c > 0 ? 1.0f : c < 0 ? -1.0f : c == 0 ? 0.0f : c;
}

struct Scalars {
    float lr, beta1, one_minus_beta1, beta2, one_minus_beta2, weight_decay;
};

/* One element; every line is one rounding, or two. */
static __device__ void update(float &param, float &momentum, float grad, const Scalars &h)
{
    const float c = h.beta1 * momentum + h.one_minus_beta1 * grad;
    const float s = sign(c) + h.weight_decay * param;
    param = param - h.lr * s;
    momentum = h.beta2 * momentum + h.one_minus_beta2 * grad;
}

#define SCALARS                                                                                    \
    float lr, float beta1, float one_minus_beta1, float beta2, float one_minus_beta2,              \
        float weight_decay
#define GIVEN Scalars{lr, beta1, one_minus_beta1, beta2, one_minus_beta2, weight_decay}

/* One thread, one element. */
extern "C" __global__ void lion(float *param, float *momentum, const float *grad, int size, SCALARS)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    update(param[i], momentum[i], grad[i], GIVEN);
}

/* The same with parameters and gradients of bfloat16: computed in float32, rounded once. */
extern "C" __global__ void lion_bfloat16(__nv_bfloat16 *param, float *momentum,
                                         const __nv_bfloat16 *grad, int size, SCALARS)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    float value = __bfloat162float(param[i]);
    update(value, momentum[i], __bfloat162float(grad[i]), GIVEN);
    param[i] = __float2bfloat16_rn(value);
}

/* Sixteen bytes at once, in a loop over the whole grid; what four do not divide comes last. The
 * arrays begin at multiples of sixteen bytes, as those of cudaMalloc do. */
extern "C" __global__ void lion_vectorized(float4 *param, float4 *momentum, const float4 *grad,
                                           int size, SCALARS)
{
    const int first = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    const Scalars h = GIVEN;
    for (int i = first; i < size / 4; i += threads) {
        float4 p = param[i], m = momentum[i];
        const float4 g = grad[i];
        update(p.x, m.x, g.x, h);
        update(p.y, m.y, g.y, h);
        update(p.z, m.z, g.z, h);
        update(p.w, m.w, g.w, h);
        param[i] = p;
        momentum[i] = m;
    }
    const int i = size - size % 4 + first;
    if (i < size)
        update(((float *)param)[i], ((float *)momentum)[i], ((const float *)grad)[i], h);
}
