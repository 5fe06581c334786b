# SOURCE PTX OPTION...: compiles CUDA to PTX, with what it was made of and how at its head, by which
# a test knows whether the one still belongs to the other. It needs nvcc, of NVIDIA's CUDA toolkit,
# and no GPU.
set -e
source=$1 ptx=$2
shift 2
"${NVCC:-nvcc}" -ptx -arch=sm_80 "$@" "$source" -o "$ptx.new"
{
    echo "// nvcc -ptx -arch=sm_80 $* ${source##*/}"
    echo "// SHA-256 of ${source##*/}: $(sha256sum "$source" | cut -d ' ' -f 1)"
    cat "$ptx.new"
} > "$ptx"
rm "$ptx.new"
