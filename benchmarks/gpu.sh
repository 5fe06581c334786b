#!/usr/bin/env bash
# Everything that needs a GPU, in one go and within 8 minutes: tests, verdicts, benchmarks.
#
#     benchmarks/gpu.sh [--dry] [WHEELS]
#
# --dry: the same steps on the CPU, tiny; the tests are then collected and skipped.
# WHEELS: a folder with wheels of what is not installed, such as other projects' Lions; they are
# unpacked, not installed. PY names the interpreter, LIMIT the most seconds that any part may take,
# REPORT the report, which is benchmarks/results/gpu.md, or build/gpu.md of a dry run.
#
# Each part has a time limit and is reported though others fail; the exit status is 1 if any did.
# The limits come to 7 minutes: 200 s for what runs together, then 50 s each for four benchmarks.
set -u

dry='' device=cuda report=benchmarks/results/gpu.md
sets=(1G '124M, 148 tensors' '1,000 of 1,000')
torch_step=(--rounds 15 --dtypes float32 bfloat16)
jax_step=(--rounds 9 --sets 16M '124M, 148 tensors')
judged=(--seconds 120)
if [ "${1-}" = --dry ]; then
    shift
    dry=1 device=cpu report=build/gpu.md
    sets=('1,000 of 100')
    torch_step=(--rounds 1 --dtypes float32)
    jax_step=(--rounds 1 --sets 16M)
    judged=(--seconds 1 --dtype float32)
    export CUDA_VISIBLE_DEVICES='' JAX_PLATFORMS=cpu
fi
wheels=${1:+$(cd "$1" && pwd)}
if [ $# -gt 1 ] || [ -n "${1-}" ] && [ -z "$wheels" ]; then
    echo "$0 $*: legal: [--dry] and then a folder of wheels" >&2
    exit 2
fi
py=${PY:-python3}
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
here=$PWD
found=$(mktemp -d) || exit 2
trap 'jobs -p | xargs -r kill; rm -rf "$found"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A machine may have installed packages named tests and benchmarks, which would win over folders
# without an __init__: stand-ins come first and lead to ours.
for room in tests benchmarks; do
    mkdir -p "$found/rooms/$room"
    echo "__path__ = [__import__('os').environ['LION_REF'] + '/$room']" >"$found/rooms/$room/__init__.py"
done
export LION_REF=$here
export PYTHONPATH="$found/rooms:$here:$here/adapters:$here/conformance:$found/site${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 KERAS_BACKEND=jax

# part NAME SECONDS COMMAND …: what it prints, and a line that says how it ended.
part() {
    local name=$1 limit=$2 out=$found/$1 start=$SECONDS status how
    shift 2
    [ -z "${LIMIT-}" ] || limit=$((LIMIT < limit ? LIMIT : limit))
    timeout --kill-after=5 "$limit" "$@" >"$out.out" 2>"$out.err" &
    trap 'kill $!; exit' TERM
    wait $!
    status=$?
    case $status in
        0) how="passed in $((SECONDS - start)) s" ;;
        124 | 137) how="stopped at its limit of $limit s" ;;
        *) how="failed in $((SECONDS - start)) s, status $status" ;;
    esac
    # pytest is content where every test was skipped.
    if [ $status = 0 ] && [[ $name = tests* ]] && ! grep -q '[0-9] passed' "$out.out"; then
        [ -n "$dry" ] && how='skipped, as there is no GPU' || how='failed: every test was skipped'
    fi
    echo "$how" >"$out.how"
    echo "$name: $how"
}

start() {
    echo "$1" >>"$found/parts"
    part "$@" &
}

for wheel in ${wheels:+"$wheels"/*.whl}; do
    "$py" -m zipfile -e "$wheel" "$found/site" || echo "$wheel was not unpacked"
done
"$py" -c 'import pytest' 2>/dev/null || echo 'pytest is neither installed nor among the wheels'

# At the same time, as most of it is compilation on the host.
export XLA_PYTHON_CLIENT_PREALLOCATE=false
adapters=(lion_torch lion_jax)
if "$py" -c 'import cupy' 2>/dev/null; then
    adapters+=(lion_array_api)
else
    echo 'tests of lion_array_api: left out, as there is no CuPy'
fi
for adapter in "${adapters[@]}"; do
    # Warnings are errors with the versions that were tested, not with those that are here.
    start "tests of $adapter" 200 "$py" -m pytest -p no:cacheprovider -W default -q -m gpu \
        "tests/$adapter/test_gpu.py"
done
start 'tests of PTX' 120 "$py" -m pytest -p no:cacheprovider -W default -q -m gpu \
    tests/lion_conformance/ptx/test_hardware.py
start conformance 200 "$py" -m lion_conformance.cli run --backend torch --backend jax \
    --device "$device" "${judged[@]}" --markdown "$found/conformance.md" \
    --reproduction "$found/conformance.py"
wait
unset XLA_PYTHON_CLIENT_PREALLOCATE

# One at a time, so that nothing else is measured.
for set in "${sets[@]}"; do
    start "benchmark of lion_torch, $set" 50 "$py" benchmarks/torch_step.py --device "$device" \
        "${torch_step[@]}" --sets "$set" --figures "$found/figures"
    wait
done
start 'benchmark of lion_jax' 50 "$py" benchmarks/jax_step.py "${jax_step[@]}"
wait

report=${REPORT-$report}
mkdir -p "$(dirname "$report")"
timeout 20 "$py" -m benchmarks.gpu_report "$found" "$report" ${dry:+--dry} >/dev/null
status=$?
sed -n '/^## Targets/,$p' "$report"
echo "written: $report"
exit "$status"
