#!/usr/bin/env python3
"""Time llama.cpp by llama-cpp-python: run_llama.py FILE.gguf THREADS CELL...

Cells and output as run_genai.py's. A cell PROMPT:NEW:batchN decodes N sequences together, each behind a
prompt of its own.
"""

import json
import resource
import sys
import time

import llama_cpp
import numpy as np


def main():
    path, threads, cells = sys.argv[1], int(sys.argv[2]), [c.split(":") for c in sys.argv[3:]]
    single = [cell for cell in cells if not cell[-1].startswith("batch")]
    context = max([int(prompt) + int(new) + 8 for prompt, new, *_ in single], default=64)
    start = time.perf_counter()
    model = llama_cpp.Llama(
        path, n_ctx=context, n_threads=threads, n_threads_batch=threads, n_batch=512, verbose=False
    )
    load_s = time.perf_counter() - start
    model.eval([1])
    report = {
        "engine": "llama.cpp",
        "load_s": load_s,
        "load_to_first_token_s": time.perf_counter() - start,
        "cells": [],
    }
    rng = np.random.default_rng(0)
    for cell in cells:
        prompt, new = int(cell[0]), int(cell[1])
        last = cell[2] if len(cell) > 2 else "1"
        if last.startswith("batch"):
            report["batch"] = time_batch(model, rng, threads, prompt, new, int(last[5:]))
        else:
            report["cells"].append(time_cell(model, rng, prompt, new, int(last)))
    report["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(report))


def time_cell(model, rng, prompt, new, times):
    ids = rng.integers(100, 40000, prompt).tolist()
    model.reset()
    start = time.perf_counter()
    model.eval(ids)
    ttft_s = time.perf_counter() - start
    decode_s = []
    for _ in range(times if new else 0):
        model.n_tokens = prompt
        start = time.perf_counter()
        for i in range(new):
            model.eval([100 + i])
        decode_s.append(time.perf_counter() - start)
    return {
        "prompt_tokens": prompt,
        "prefill_tok_s": [prompt / ttft_s],
        "ttft_s": [ttft_s],
        "decode_tok_s": [new / seconds for seconds in decode_s],
    }


def time_batch(model, rng, threads, prompt, new, sequences):
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = sequences * (prompt + new + 8)
    params.n_batch = params.n_ubatch = max(512, prompt)
    params.n_seq_max = sequences
    params.n_threads = params.n_threads_batch = threads
    context = llama_cpp.llama_init_from_model(model._model.model, params)
    batch = llama_cpp.llama_batch_init(max(prompt, sequences), 0, 1)

    def decode(entries):
        batch.n_tokens = len(entries)
        for i, (token, position, sequence, wants_logits) in enumerate(entries):
            batch.token[i], batch.pos[i] = int(token), position
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            batch.logits[i] = wants_logits
        if llama_cpp.llama_decode(context, batch):
            raise SystemExit("llama_decode failed")

    for sequence in range(sequences):
        ids = rng.integers(100, 40000, prompt)
        decode([(id, at, sequence, at + 1 == prompt) for at, id in enumerate(ids)])
    start = time.perf_counter()
    for i in range(new):
        decode([(100 + i, prompt + i, sequence, True) for sequence in range(sequences)])
    seconds = time.perf_counter() - start
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    return {"sequences": sequences, "prompt_tokens": prompt, "tok_s": [sequences * new / seconds]}


if __name__ == "__main__":
    main()
