#!/usr/bin/env bash
# Verify and measure the ONNX Runtime backend on this machine's GPUs. Needs no network.
#
#     bench/gpu.sh INHOUSE WHEELS OUT [PROVIDER..]
#
# INHOUSE is the program (cargo build --release). WHEELS is a folder with Python packages as `pip download --no-deps`
# leaves them: onnxruntime or onnxruntime-gpu, and onnxruntime_ep_webgpu for WebGPU. OUT gets the results: summary.md and
# the JSON it was made from. PROVIDERs are execution providers; without any, each GPU provider that works here is taken.
#
# Every folder of testdata/zoo is verified on each provider, in exact arithmetic and as exported. Then a full-size
# Phi-4-mini with random weights is made (2.4 GB, by make_phi4mini.py: python3 with onnx and numpy) and timed.
# To reach: 100 tokens/s. Status 0 if everything agreed and a GPU worked. PHI4MINI names a model that is there, PROMPTS other
# lengths than 64,512,2048, PYTHON another python3.
set -euo pipefail

if [[ $# -lt 3 ]]; then
    sed -n '2,14s/^# \{0,1\}//p' "$0"
    exit 2
fi
inhouse=$(realpath "$1") wheels=$(realpath "$2")
mkdir -p "$3"
out=$(realpath "$3")
shift 3
root=$(realpath "$(dirname "$0")/..")
python=${PYTHON:-python3}

export INHOUSE_HOME=${INHOUSE_HOME:-$out/home} INHOUSE_OFFLINE=1 ORT_DISABLE_TELEMETRY=1

say() { printf '%s\n' "$*" >&2; }

# The libraries of a wheel, into inhouse's own folder for them.
unpack() {
    local flavour=$1 pattern=$2 wheel folder
    for wheel in "$wheels"/$pattern; do
        [[ -e $wheel ]] || return 0
        folder=$INHOUSE_HOME/runtimes/$flavour
        mkdir -p "$folder"
        "$python" - "$wheel" "$folder" <<'PY'
import os, re, sys, zipfile
library = re.compile(r"(^|/)(lib)?(onnxruntime|DirectML|dxcompiler|dxil)[^/]*\.(so|so\.[\d.]+|dll|dylib)$")
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        if library.search(name) and "pybind11" not in name:
            with open(os.path.join(sys.argv[2], os.path.basename(name)), "wb") as out:
                out.write(wheel.read(name))
PY
    done
}

unpack cuda 'onnxruntime_gpu-*.whl'
unpack directml 'onnxruntime_directml-*.whl'
unpack cpu 'onnxruntime-*.whl'
unpack webgpu 'onnxruntime_ep_webgpu-*.whl'

"$inhouse" doctor --json >"$out/doctor.json"
if [[ $# -gt 0 ]]; then
    providers=("$@")
else
    mapfile -t providers < <("$python" - "$out/doctor.json" <<'PY'
import json, sys
for provider in json.load(open(sys.argv[1]))["onnxruntime"]["providers"]:
    if provider["works"] and provider["name"] != "cpu":
        print(provider["name"])
PY
    )
fi
if [[ ${#providers[@]} -eq 0 ]]; then
    say "no GPU provider works here; $out/doctor.json says why:"
    "$inhouse" doctor >&2
    exit 1
fi

model=${PHI4MINI:-$out/phi4mini-full}
if [[ ! -f $model/genai_config.json ]]; then
    say "making $model"
    "$python" "$root/bench/make_phi4mini.py" "$model"
fi

failed=0
for provider in "${providers[@]}"; do
    run=(--backend onnxruntime --ep "$provider")
    for folder in "$root"/testdata/zoo/*/; do
        name=$(basename "$folder")
        say "$provider: verifying $name"
        "$inhouse" verify "$folder" "${run[@]}" --json >"$out/verify-$provider-$name.json" 2>"$out/verify-$provider-$name.txt" ||
            failed=1
    done
    say "$provider: timing Phi-4-mini"
    "$inhouse" bench -m "$model" "${run[@]}" --prompt "${PROMPTS:-64,512,2048}" --new 128 --runs 5 --json \
        >"$out/bench-$provider.json" 2>"$out/bench-$provider.txt" || failed=1
done

"$python" "$root/bench/gpu_summary.py" "$out" "${providers[@]}" | tee "$out/summary.md"
exit "$failed"
