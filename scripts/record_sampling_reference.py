#!/usr/bin/env python3
"""Records crates/engine/tests/data/sampling.json: what other software makes of logits and sampling options.

Bias, repetition penalty, n-grams, least length, temperature, top-k, top-p, min-p and typical-p come from Hugging Face
transformers, whose processors run here; presence and frequency penalties and DRY from llama.cpp, of which one file is
compiled with the driver below.

    pip install torch transformers
    pip download --no-deps --no-binary :all: llama-cpp-python   # and unpack it: the source of llama.cpp is in vendor/
    python scripts/record_sampling_reference.py path/to/vendor/llama.cpp > crates/engine/tests/data/sampling.json

Recorded with transformers 5.23.0 and the llama.cpp of llama-cpp-python 0.3.36.
"""

import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from transformers.generation import logits_process as hf

DRIVER = r"""
#include "llama-sampler.h"
#include "llama-vocab.h"
#include "llama-impl.h"
#include <cstdio>
#include <iostream>
#include <string>

// The sampler asks these of the rest of llama.cpp; nothing here needs an answer.
struct llama_vocab::impl {};
llama_vocab::llama_vocab() {}
llama_vocab::~llama_vocab() {}
void llama_log_internal(ggml_log_level, const char *, ...) {}

// Reads "penalties FREQUENCY PRESENCE" or "dry MULTIPLIER BASE ALLOWED LAST_N N_BREAKERS ID..", then the tokens and
// the logits, each after its count; writes the logits as the sampler leaves them.
int main() {
    std::string kind;
    std::cin >> kind;
    llama_sampler * sampler;
    if (kind == "penalties") {
        float frequency, presence;
        std::cin >> frequency >> presence;
        sampler = llama_sampler_init_penalties(1 << 20, 1 << 20, 1.0f, frequency, presence);
    } else {
        float multiplier, base;
        int allowed, last_n, n_breakers;
        std::cin >> multiplier >> base >> allowed >> last_n >> n_breakers;
        std::vector<std::vector<llama_token>> breakers(n_breakers, std::vector<llama_token>(1));
        for (auto & breaker : breakers) std::cin >> breaker[0];
        sampler = llama_sampler_init_dry_testing(multiplier, base, allowed, last_n, breakers);
    }
    int n_tokens, n_logits;
    std::cin >> n_tokens;
    for (int i = 0; i < n_tokens; i++) { llama_token token; std::cin >> token; llama_sampler_accept(sampler, token); }
    std::cin >> n_logits;
    std::vector<llama_token_data> data(n_logits);
    for (int i = 0; i < n_logits; i++) { data[i].id = i; data[i].p = 0; std::cin >> data[i].logit; }
    llama_token_data_array array = { data.data(), data.size(), -1, false };
    llama_sampler_apply(sampler, &array);
    for (size_t i = 0; i < array.size; i++) printf("%d %.9g\n", array.data[i].id, array.data[i].logit);
}
"""


class LlamaCpp:
    def __init__(self, source, folder):
        self.binary = folder / "driver"
        (folder / "driver.cpp").write_text(DRIVER)
        include = [f"-I{source / part}" for part in ("include", "src", "ggml/include", "ggml/src", "common")]
        compiler = ["g++", "-O1", "-std=c++17", "-w", "-fPIC", *include]
        library = folder / "libsampler.so"
        # A library may lack what it never calls: the rest of llama.cpp, which would take long to compile.
        sampler = source / "src/llama-sampler.cpp"
        subprocess.run([*compiler, "-shared", "-o", library, sampler, "-Wl,-z,lazy"], check=True)
        subprocess.run(
            [*compiler, "-o", self.binary, folder / "driver.cpp", library, "-rdynamic", f"-Wl,-rpath,{folder}",
             "-Wl,--unresolved-symbols=ignore-in-shared-libs"],
            check=True,
        )

    def apply(self, settings, tokens, logits):
        finite = [max(x, -1e30) for x in logits.tolist()]
        words = [*settings, len(tokens), *tokens, len(finite), *(repr(x) for x in finite)]
        done = subprocess.run(
            [self.binary], input=" ".join(map(str, words)), capture_output=True, text=True, check=True
        )
        result = logits.clone()
        for line in done.stdout.splitlines():
            token, logit = line.split()
            if result[int(token)] != -math.inf:
                result[int(token)] = float(logit)
        return result


def process(case, logits, llama):
    """The chain in the order that the engine documents."""
    options, prompt, answer = case["options"], case["prompt"], case["answer"]
    ids = torch.tensor([prompt + answer])

    def run(processor):
        nonlocal logits
        logits = processor(ids, logits.unsqueeze(0)).squeeze(0)

    if bias := options.get("logit_bias"):
        run(hf.SequenceBiasLogitsProcessor({(int(token),): float(value) for token, value in bias.items()}))
    if "repetition_penalty" in options:
        run(hf.RepetitionPenaltyLogitsProcessor(options["repetition_penalty"]))
    if "frequency_penalty" in options or "presence_penalty" in options:
        settings = ["penalties", options.get("frequency_penalty", 0), options.get("presence_penalty", 0)]
        logits = llama.apply(settings, answer, logits)
    if dry := options.get("dry"):
        settings = ["dry", dry["multiplier"], dry["base"], dry["allowed_length"], dry.get("penalty_last_n", 10_000)]
        breakers = dry.get("breaker_tokens", [])
        logits = llama.apply([*settings, len(breakers), *breakers], prompt + answer, logits)
    if "no_repeat_ngram_size" in options:
        run(hf.NoRepeatNGramLogitsProcessor(options["no_repeat_ngram_size"]))
    if "min_length" in options:
        run(hf.MinLengthLogitsProcessor(options["min_length"], case["stop_tokens"]))
    if "min_new_tokens" in options:
        run(hf.MinNewTokensLengthLogitsProcessor(len(prompt), options["min_new_tokens"], case["stop_tokens"]))
    for name, processor in [
        ("temperature", hf.TemperatureLogitsWarper),
        ("top_k", hf.TopKLogitsWarper),
        ("top_p", hf.TopPLogitsWarper),
        ("min_p", hf.MinPLogitsWarper),
        ("typical_p", hf.TypicalLogitsWarper),
    ]:
        if name in options:
            run(processor(options[name]))
    return torch.softmax(logits.double(), dim=-1)


def normal(seed, n, scale):
    source = random.Random(seed)
    return [round(source.gauss(0, scale), 4) for _ in range(n)]


def congruential(n):
    """A vocabulary too large to write down; the test makes the same one."""
    state, logits = 12345, []
    for _ in range(n):
        state = (state * 1103515245 + 12345) % 2**31
        logits.append((state >> 8) % 40_000 / 2_500 - 8.0)
    return logits


LOGITS = {
    "usual": normal(1, 64, 3.0),
    "peaked": [18.0, 16.5, *normal(2, 62, 2.0)],
    "flat": normal(3, 64, 0.1),
    "ties": [1.0, 3.0, 2.0, 3.0, -1.0, 3.0, 2.0, 0.5, -4.0, 2.0, 2.5, 1.0],
    "large": congruential(5000),
}
PROMPT = [5, 9, 12, 5, 9, 12, 5, 30, 31, 2, 7, 63, 0]
ANSWER = [9, 12, 5, 9, 9, 40, 41, 5, 9, 12]
DRY = {"multiplier": 0.8, "base": 1.75, "allowed_length": 2}


def cases():
    for logits in LOGITS:
        yield logits, {}
        for name, values in [
            ("temperature", [0.3, 0.8, 1.7]),
            ("top_k", [1, 3, 5, 40]),
            ("top_p", [0.1, 0.5, 0.9, 0.99]),
            ("min_p", [0.02, 0.1, 0.6]),
            ("typical_p", [0.2, 0.5, 0.95]),
        ]:
            for value in values:
                # Which of several equal tokens crosses top-p's border is up to a sort that is not stable.
                if not (logits in ("ties", "large") and name == "top_p"):
                    yield logits, {name: value}
    for logits in ("usual", "peaked", "flat"):
        yield logits, {"repetition_penalty": 1.3}
        yield logits, {"repetition_penalty": 0.7}
        yield logits, {"frequency_penalty": 0.7}
        yield logits, {"presence_penalty": 1.1}
        yield logits, {"frequency_penalty": -0.4, "presence_penalty": 1.9}
        yield logits, {"logit_bias": {"3": 5.0, "9": -100.0, "50": 2.5}}
        yield logits, {"no_repeat_ngram_size": 1}
        yield logits, {"no_repeat_ngram_size": 2}
        yield logits, {"no_repeat_ngram_size": 3}
        yield logits, {"no_repeat_ngram_size": 24}
        yield logits, {"min_new_tokens": 10}
        yield logits, {"min_new_tokens": 11}
        yield logits, {"min_length": 23}
        yield logits, {"min_length": 24}
        yield logits, {"dry": DRY}
        yield logits, {"dry": {**DRY, "allowed_length": 3}}
        yield logits, {"dry": {**DRY, "base": 1.2, "multiplier": 2.0, "penalty_last_n": 8}}
        yield logits, {"dry": {**DRY, "breaker_tokens": [5]}}
        yield logits, {"dry": {**DRY, "breaker_tokens": [12]}}
        yield logits, {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}
        yield logits, {"temperature": 1.5, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.9}
        yield logits, {"temperature": 0.7, "top_k": 20, "typical_p": 0.8, "repetition_penalty": 1.1}
        yield logits, {
            "logit_bias": {"12": 1.5, "31": -2.0}, "repetition_penalty": 1.2, "frequency_penalty": 0.3,
            "presence_penalty": 0.2, "dry": DRY, "no_repeat_ngram_size": 4, "min_new_tokens": 20,
            "temperature": 0.9, "top_k": 30, "top_p": 0.9, "min_p": 0.01, "typical_p": 0.95,
        }
    yield "large", {"top_k": 50, "top_p": 0.9, "temperature": 0.7}
    yield "large", {"top_k": 200}


def main():
    with tempfile.TemporaryDirectory() as folder:
        llama = LlamaCpp(pathlib.Path(sys.argv[1]), pathlib.Path(folder))
        recorded = []
        for name, options in cases():
            case = {"logits": name, "options": options, "prompt": PROMPT, "answer": ANSWER, "stop_tokens": [0, 1, 33]}
            if name == "ties":
                case["prompt"], case["answer"] = [1], []
            probabilities = process(case, torch.tensor(LOGITS[name], dtype=torch.float32), llama)
            kept = (probabilities > 1e-12).nonzero().flatten().tolist()
            case["kept"] = len(kept)
            # Of large distributions the count and some of the probabilities are enough.
            case["ids"] = kept[:: max(1, len(kept) // 12)]
            case["probabilities"] = [float(f"{probabilities[token]:.6g}") for token in case["ids"]]
            recorded.append(case)
    logits = {name: values for name, values in LOGITS.items() if name != "large"}
    lines = ",\n".join(json.dumps(case) for case in recorded)
    print(f'{{"logits": {json.dumps(logits)},\n"cases": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()
