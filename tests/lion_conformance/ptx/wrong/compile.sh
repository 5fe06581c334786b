# Compiles the wrong kernels anew; it needs nvcc, and no GPU. contracted.ptx and fast_math.ptx are
# the right kernels of examples/ports/cuda, compiled with the wrong options.
set -e
cd "$(dirname "$0")"
right=../../../../examples/ports/cuda
sh $right/compile.sh wrong.cu wrong.ptx -fmad=false
sh $right/compile.sh $right/lion.cu contracted.ptx -fmad=true
sh $right/compile.sh $right/lion.cu fast_math.ptx -use_fast_math
