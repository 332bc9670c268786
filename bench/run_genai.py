#!/usr/bin/env python3
"""Time onnxruntime-genai: run_genai.py MODEL_DIR THREADS CELL...

A cell is PROMPT:NEW, or PROMPT:NEW:TIMES to decode that often behind one prompt, rewound each time.
genai's own default is half the cores, so the threads are set. Prints one JSON object; the time to load
counts from before the model is opened, when Python and the library are there already.
"""

import json
import os
import resource
import sys
import time

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import numpy as np
import onnxruntime_genai as og


def main():
    path, threads, cells = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    config = og.Config(path)
    options = {"session_options": {"intra_op_num_threads": threads}}
    config.overlay(json.dumps({"model": {"decoder": options}}))
    start = time.perf_counter()
    model = og.Model(config)
    load_s = time.perf_counter() - start
    generate(model, [1], 0, 0)
    report = {
        "engine": "onnxruntime-genai",
        "load_s": load_s,
        "load_to_first_token_s": time.perf_counter() - start,
    }
    rng = np.random.default_rng(0)
    report["cells"] = [time_cell(model, rng, *map(int, cell.split(":"))) for cell in cells]
    report["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(report))


def time_cell(model, rng, prompt, new, times=1):
    ids = rng.integers(100, 40000, prompt).tolist()
    ttft_s, decode_s = generate(model, ids, new, times)
    return {
        "prompt_tokens": prompt,
        "prefill_tok_s": [prompt / ttft_s],
        "ttft_s": [ttft_s],
        "decode_tok_s": [new / seconds for seconds in decode_s],
    }


def generate(model, ids, new, times):
    params = og.GeneratorParams(model)
    length = len(ids) + new + 2
    params.set_search_options(max_length=length, min_length=length, do_sample=False)
    generator = og.Generator(model, params)
    start = time.perf_counter()
    generator.append_tokens(ids)
    generator.generate_next_token()
    ttft_s = time.perf_counter() - start
    decode_s = []
    for turn in range(times if new else 0):
        if turn:
            generator.rewind_to(len(ids))
            generator.append_tokens([100])
            generator.generate_next_token()
        start = time.perf_counter()
        for _ in range(new):
            generator.generate_next_token()
        decode_s.append(time.perf_counter() - start)
    return ttft_s, decode_s


if __name__ == "__main__":
    main()
