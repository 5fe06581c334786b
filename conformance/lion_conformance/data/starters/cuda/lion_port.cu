/* Lion in CUDA, to be judged without a GPU and on one. Put your own in the place of `step`.
 *
 *     nvcc -ptx -arch=sm_80 --fmad=false lion_port.cu
 *     lion-conformance verify --ptx lion_port.ptx --kernel kernel.toml
 *
 *     nvcc -O2 --fmad=false lion_port.cu -o lion_port
 *     lion-conformance verify --exec ./lion_port
 *
 * It takes float32. --fmad=false: nvcc otherwise rounds a product and a sum as one. The format that
 * the program speaks is docs/reference/pipe.md of lion-ref; where there is no GPU, it says so.
 */
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <vector>

#include <cuda_runtime.h>

/* The six scalars, each rounded once; 1 - beta was formed in double. */
struct Scalars { float lr, weight_decay, beta1, beta1_complement, beta2, beta2_complement; };

extern "C" __global__ void step(float *theta, float *m, const float *g, size_t count, float lr,
                                float weight_decay, float beta1, float beta1_complement, float beta2,
                                float beta2_complement)
{
    const size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    if (i >= count) return;
    const float a = beta1 * m[i];
    const float b = beta1_complement * g[i];
    const float c = a + b;
    /* +0 for both zeros, and a NaN for a NaN, which compares unequal to itself. */
    const float u = c > 0 ? 1 : c < 0 ? -1 : c == 0 ? 0 : c;
    const float d = weight_decay * theta[i];
    const float s = u + d;
    const float e = lr * s;
    const float x = beta2 * m[i];
    const float y = beta2_complement * g[i];
    theta[i] = theta[i] - e;
    m[i] = x + y;
}

static bool fine(cudaError_t error)
{
    if (error != cudaSuccess) printf("error %s\n", cudaGetErrorString(error));
    return error == cudaSuccess;
}

/* Steps 3 * count numbers on the GPU: theta and m in place, g behind them. */
static bool step_on_device(const Scalars &h, size_t count, std::vector<float> &numbers)
{
    const unsigned threads = 256, blocks = (unsigned)((count + threads - 1) / threads);
    const size_t bytes = numbers.size() * sizeof(float);
    float *device = nullptr;
    if (!fine(cudaMalloc((void **)&device, bytes))) return false;
    bool done = fine(cudaMemcpy(device, numbers.data(), bytes, cudaMemcpyHostToDevice));
    if (done) {
        step<<<blocks, threads>>>(device, device + count, device + 2 * count, count, h.lr,
                                  h.weight_decay, h.beta1, h.beta1_complement, h.beta2,
                                  h.beta2_complement);
        done = fine(cudaGetLastError()) &&
               fine(cudaMemcpy(numbers.data(), device, bytes, cudaMemcpyDeviceToHost));
    }
    cudaFree(device);
    return done;
}

/* Reads a batch and answers it, with a line "error ..." if the GPU fails; false at the input's end. */
static bool answer(const Scalars &h, size_t count)
{
    std::vector<float> numbers(3 * count);
    for (size_t i = 0; i < count; ++i)
        for (size_t array = 0; array < 3; ++array) {
            uint32_t bits;
            if (scanf("%" SCNx32, &bits) != 1) return false;
            memcpy(&numbers[array * count + i], &bits, sizeof bits);
        }
    if (count > 0 && !step_on_device(h, count, numbers)) return true;
    for (size_t i = 0; i < count; ++i) {
        uint32_t bits[2];
        memcpy(&bits[0], &numbers[i], sizeof bits[0]);
        memcpy(&bits[1], &numbers[count + i], sizeof bits[1]);
        printf("%08" PRIx32 " %08" PRIx32 "\n", bits[0], bits[1]);
    }
    printf("end\n");
    return true;
}

static double to_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int main()
{
    int devices = 0;
    const cudaError_t error = cudaGetDeviceCount(&devices);

    printf("lion-pipe 1\nname lion_port.cu\ndtypes float32 float32 float32\nsemantics canonical\n");
    if (error != cudaSuccess) printf("unavailable no GPU: %s\n", cudaGetErrorString(error));
    printf("ready\n");
    fflush(stdout);

    size_t count;
    uint64_t bits[4];
    while (scanf(" step float32 float32 float32 %zu %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
                 &count, &bits[0], &bits[1], &bits[2], &bits[3]) == 5) {
        const double lr = to_double(bits[0]), beta1 = to_double(bits[1]);
        const double beta2 = to_double(bits[2]), weight_decay = to_double(bits[3]);
        const Scalars h = { (float)lr, (float)weight_decay, (float)beta1, (float)(1.0 - beta1),
                            (float)beta2, (float)(1.0 - beta2) };
        if (!answer(h, count)) return 1;
        fflush(stdout);
    }
    return 0;
}
