#!/usr/bin/env python3
"""Sum up what bench/gpu.sh found: gpu_summary.py OUT PROVIDER..."""

import glob
import json
import os
import sys


def main():
    out, providers = sys.argv[1], sys.argv[2:]
    doctor = load(f"{out}/doctor.json")
    print("# ONNX Runtime on this machine's GPUs\n")
    print(f"inhouse {doctor['version']}, {doctor['processor']['name']}; {library(doctor)}\n")
    print("| provider | device | checks within bounds | tokens read/s | decode, tok/s | 100 tok/s |")
    print("|---|---|--:|--:|--:|---|")
    for provider in providers:
        print(row(out, doctor, provider))
    print("\nChecks are of every folder of testdata/zoo, in exact arithmetic and as exported; speeds are medians on a full-size")
    print("Phi-4-mini with random weights, INT4, reading prompts of so many tokens and decoding 128 behind the first. What failed")
    print("is in verify-*.txt and bench-*.txt.")


def row(out, doctor, provider):
    passed = total = 0
    for path in sorted(glob.glob(f"{out}/verify-{provider}-*.json")):
        checks = (load(path) or {}).get("checks", [])
        passed += sum(check["passed"] for check in checks)
        # A folder that did not run at all counts as one that failed.
        total += max(len(checks), 1)
    bench = load(f"{out}/bench-{provider}.json")
    if bench is None:
        return f"| {provider} | {device(doctor, provider)} | {passed} of {total} | failed | failed | **no** |"
    lines = bench["lines"]
    read = ", ".join(f"{line['prefill_tok_s']['median']:,.0f} of {line['prompt_tokens']:,}" for line in lines)
    decode = lines[0]["decode_tok_s"]["median"]
    used = " and ".join(bench.get("execution_providers", [provider]))
    reached = "yes" if decode >= 100 else "**no**"
    return f"| {used} | {device(doctor, provider)} | {passed} of {total} | {read} | {decode:,.1f} | {reached} |"


def device(doctor, name):
    for provider in doctor["onnxruntime"]["providers"]:
        if provider["name"] == name:
            return provider.get("device") or "not named"
    return "not probed"


def library(doctor):
    used = doctor["onnxruntime"].get("library") or {}
    return f"ONNX Runtime {used.get('version', 'not found')}"


def load(path):
    """The JSON in a file; nothing where a command failed before it printed any."""
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return None
    with open(path) as file:
        return json.load(file)


if __name__ == "__main__":
    main()
