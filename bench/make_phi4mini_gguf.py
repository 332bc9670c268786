#!/usr/bin/env python3
"""Write a GGUF of Phi-4-mini's shape, Q4_0 throughout with random weights, to time llama.cpp on.

    make_phi4mini_gguf.py OUT.gguf             needs: pip install gguf numpy
"""

import os
import sys

import gguf
import numpy as np

LAYERS, HIDDEN, FEED_FORWARD, VOCAB, HEADS, KV_HEADS, HEAD_DIM = 32, 3072, 8192, 200064, 24, 8, 128


def main():
    out = sys.argv[1]
    writer = gguf.GGUFWriter(out + ".part", "phi3")
    describe(writer)
    rng = np.random.default_rng(0)

    def q4_0(name, rows, columns):
        blocks = np.empty((rows * columns // 32, 18), np.uint8)
        blocks[:, 2:] = rng.integers(0, 256, (len(blocks), 16), dtype=np.uint8)
        blocks[:, :2] = np.full((len(blocks), 1), 0.003, np.float16).view(np.uint8)
        raw = blocks.reshape(rows, columns // 32 * 18)
        writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType.Q4_0)

    def f32(name, count, value=1.0):
        writer.add_tensor(name, np.full(count, value, np.float32))

    q4_0("token_embd.weight", VOCAB, HIDDEN)
    f32("output_norm.weight", HIDDEN)
    f32("rope_factors_long.weight", 48, 2.0)
    f32("rope_factors_short.weight", 48)
    for i in range(LAYERS):
        block = f"blk.{i}."
        f32(block + "attn_norm.weight", HIDDEN)
        f32(block + "ffn_norm.weight", HIDDEN)
        q4_0(block + "attn_qkv.weight", HIDDEN + 2 * KV_HEADS * HEAD_DIM, HIDDEN)
        q4_0(block + "attn_output.weight", HIDDEN, HIDDEN)
        q4_0(block + "ffn_up.weight", 2 * FEED_FORWARD, HIDDEN)
        q4_0(block + "ffn_down.weight", HIDDEN, FEED_FORWARD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(out + ".part", out)


def describe(writer):
    writer.add_name("phi4mini-shape")
    writer.add_context_length(131072)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(96)
    writer.add_rope_freq_base(10000.0)
    writer.add_sliding_window(262144)
    writer.add_file_type(2)
    writer.add_vocab_size(VOCAB)
    writer.add_uint32("phi3.rope.scaling.original_context_length", 4096)
    writer.add_float32("phi3.rope.scaling.attn_factor", 1.19)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-4o")
    writer.add_token_list([f"t{i}" for i in range(VOCAB)])
    writer.add_token_types([1] * VOCAB)
    writer.add_token_merges(["t 1", "t 2"])
    writer.add_bos_token_id(199999)
    writer.add_eos_token_id(199999)


if __name__ == "__main__":
    main()
