#!/usr/bin/env python3
"""Shows that a converted folder loads and answers in onnxruntime-genai.

Needs: pip install onnxruntime-genai==0.18.0 onnxruntime==1.31.1 numpy

    scripts/check_genai_loads.py FOLDER                       # asks for the capital of France
    scripts/check_genai_loads.py FOLDER --prompt P --expect W
    scripts/check_genai_loads.py FOLDER --ids REFERENCE.json  # also: tokens and perplexity

Prints the text; exit 1 if it does not contain the expected word. With --ids, the file's prompts
are tokenised by onnxruntime-genai and must give the recorded ids, and the mean negative
log-likelihood of `perplexity.input_ids` is computed through onnxruntime, in one run.
"""

import argparse
import json
import os
import sys

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def answer(folder, prompt, new_tokens):
    import onnxruntime_genai as og

    model = og.Model(folder)
    tokenizer = og.Tokenizer(model)
    messages = json.dumps([{"role": "user", "content": prompt}])
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    ids = tokenizer.encode(text)
    params = og.GeneratorParams(model)
    params.set_search_options(do_sample=False, max_length=len(ids) + new_tokens)
    generator = og.Generator(model, params)
    generator.append_tokens(ids)
    while not generator.is_done():
        generator.generate_next_token()
    return tokenizer.decode(generator.get_sequence(0)[len(ids):])


def check_tokens(folder, reference):
    import onnxruntime_genai as og

    tokenizer = og.Tokenizer(og.Model(folder))
    wrong = 0
    for case in reference["greedy"]:
        if [int(i) for i in tokenizer.encode(case["prompt"])] != case["input_ids"]:
            print("tokens differ:", repr(case["prompt"][-60:]))
            wrong += 1
    print(f"tokens: {len(reference['greedy']) - wrong} of {len(reference['greedy'])} prompts as recorded")
    return wrong == 0


def perplexity(folder, reference, limit):
    import numpy as np
    import onnxruntime as ort

    ids = reference["perplexity"]["input_ids"][:limit]
    session = ort.InferenceSession(os.path.join(folder, "model.onnx"), providers=["CPUExecutionProvider"])
    feeds = {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, len(ids)), np.int64)}
    for value in session.get_inputs():
        if value.name.startswith("past_key_values"):
            feeds[value.name] = np.zeros((1, value.shape[1], 0, value.shape[3]), np.float32)
    logits = session.run(["logits"], feeds)[0][0].astype(np.float64)
    top = logits.max(-1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(logits - top).sum(-1))
    nll = log_sum[:-1] - logits[np.arange(len(ids) - 1), ids[1:]]
    print(f"mean negative log-likelihood over {len(ids)} ids: {nll.mean():.4f} (perplexity {np.exp(nll.mean()):.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--prompt", default="What is the capital of France?")
    parser.add_argument("--expect", default="Paris")
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--ids", help="recorded prompts and ids, such as testdata/smollm2/reference.json")
    parser.add_argument("--limit", type=int, help="use only so many ids for the perplexity")
    args = parser.parse_args()

    text = answer(args.folder, args.prompt, args.new_tokens)
    print(text)
    good = args.expect.lower() in text.lower()
    if args.ids:
        with open(args.ids) as file:
            reference = json.load(file)
        good = check_tokens(args.folder, reference) and good
        perplexity(args.folder, reference, args.limit)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
