#!/usr/bin/env python3
"""Writes the test data of this folder with the gguf package's own reader and writer.

Needs: pip install gguf==0.19.0 numpy

blocks.json         bytes of each tensor type and the values that gguf.quants gives for them
tiny-<name>.gguf    whole models with random weights, a few thousand of each type
tiny-<name>.json    for every matrix, in Hugging Face's row order, its product with cos(1..k)
"""

import json
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

HERE = pathlib.Path(__file__).parent
SUPER = {T.Q4_K: 144, T.Q5_K: 176, T.Q6_K: 210}


def super_blocks(rng, kind, count):
    """Random blocks of a kind that the package reads but cannot make."""
    blocks = rng.integers(0, 256, (count, SUPER[kind]), dtype=np.uint8)
    scales = (rng.standard_normal((count, 2)) * 0.002).astype(np.float16).view(np.uint8)
    if kind == T.Q6_K:
        blocks[:, 208:210] = scales[:, 0:2]
    else:
        blocks[:, 0:4] = scales.reshape(count, 4)
    return blocks.reshape(-1)


def quantise(rng, kind, shape):
    if kind in SUPER:
        data = super_blocks(rng, kind, int(np.prod(shape)) // 256)
        return data.reshape(*shape[:-1], shape[-1] // 256 * SUPER[kind])
    values = (rng.standard_normal(shape) * 0.05 + 0.01).astype(np.float32)
    if kind == T.F32:
        return values
    return gguf.quants.quantize(values, kind)


def values_of(data, kind):
    return data.astype(np.float32) if kind == T.F32 else gguf.quants.dequantize(data, kind)


def blocks():
    rng = np.random.default_rng(1)
    out = {}
    for kind in (T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K):
        if kind in SUPER:
            data = quantise(rng, kind, (2 * 256,))
        else:
            values = (rng.standard_normal(96) * np.repeat([0.02, 1.0, 40.0], 32)).astype(np.float32)
            values[64:] = 0.25  # a block of one value, which some types give no scale
            data = values if kind == T.F32 else gguf.quants.quantize(values, kind)
        values = values_of(data, kind).astype("<f4")
        out[kind.name] = {"blocks": data.tobytes().hex(), "values": values.tobytes().hex()}
    (HERE / "blocks.json").write_text(json.dumps(out, indent=1) + "\n")


def permute(weights, heads):
    """Llama's q and k as convert_hf_to_gguf stores them."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


class Model:
    HIDDEN, INNER, HEADS, KV, SIZE, CONTEXT = 64, 256, 4, 2, 16, 48

    def __init__(self, name, arch, seed, interleaved, **sizes):
        self.__dict__.update(sizes)
        self.rng = np.random.default_rng(seed)
        self.name, self.interleaved = name, interleaved
        self.writer = gguf.GGUFWriter(HERE / f"tiny-{name}.gguf", arch)
        self.products = {}
        w = self.writer
        w.add_context_length(self.CONTEXT)
        w.add_embedding_length(self.HIDDEN)
        w.add_feed_forward_length(self.INNER)
        w.add_head_count(self.HEADS)
        w.add_head_count_kv(self.KV)
        w.add_key_length(self.SIZE)
        w.add_value_length(self.SIZE)
        w.add_layer_norm_rms_eps(1e-5)
        w.add_rope_freq_base(5000.0)

    def tensor(self, name, kind, shape):
        heads = {"attn_q": self.HEADS, "attn_k": self.KV}.get(name.split(".")[-2], 0) if self.interleaved else 0
        if name.endswith("norm.weight"):
            data = (1 + self.rng.standard_normal(shape) * 0.1).astype(np.float32)
        else:
            data = quantise(self.rng, kind, shape)
        values = values_of(data, kind).astype(np.float64)
        if values.ndim == 2:
            # The file's rows are permuted, so these are what the file means.
            self.products[name] = (values @ np.cos(np.arange(1, shape[-1] + 1))).tolist()
        stored = permute(data, heads) if heads else data
        self.writer.add_tensor(name, np.ascontiguousarray(stored), raw_dtype=kind)

    def layer(self, index, q, k, v, o, gate, up, down, biases=False, norms=False):
        blk, h, width = f"blk.{index}.", self.HIDDEN, self.HEADS * self.SIZE
        for part in ("attn_norm", "ffn_norm"):
            self.tensor(f"{blk}{part}.weight", T.F32, (h,))
        for part, kind, n in (("q", q, width), ("k", k, self.KV * self.SIZE), ("v", v, self.KV * self.SIZE)):
            self.tensor(f"{blk}attn_{part}.weight", kind, (n, h))
            if biases:
                self.tensor(f"{blk}attn_{part}.bias", T.F32, (n,))
            if norms and part != "v":
                self.tensor(f"{blk}attn_{part}_norm.weight", T.F32, (self.SIZE,))
        self.tensor(f"{blk}attn_output.weight", o, (h, width))
        self.tensor(f"{blk}ffn_gate.weight", gate, (self.INNER, h))
        self.tensor(f"{blk}ffn_up.weight", up, (self.INNER, h))
        self.tensor(f"{blk}ffn_down.weight", down, (h, self.INNER))

    def fused_layer(self, index):
        blk, h, width = f"blk.{index}.", self.HIDDEN, self.HEADS * self.SIZE
        for part in ("attn_norm", "ffn_norm"):
            self.tensor(f"{blk}{part}.weight", T.F32, (h,))
        self.tensor(f"{blk}attn_qkv.weight", T.Q4_0, (width + 2 * self.KV * self.SIZE, h))
        self.tensor(f"{blk}attn_output.weight", T.Q4_0, (h, width))
        self.tensor(f"{blk}ffn_up.weight", T.Q4_0, (2 * self.INNER, h))
        self.tensor(f"{blk}ffn_down.weight", T.Q4_0, (h, self.INNER))

    def finish(self, layers):
        self.writer.add_block_count(layers)
        self.tensor("output_norm.weight", T.F32, (self.HIDDEN,))
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()
        (HERE / f"tiny-{self.name}.json").write_text(json.dumps(self.products) + "\n")


def byte_characters():
    """GPT-2's printable stand-ins for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def byte_level(writer, pre):
    merges = ["Ġ t", "h e", "Ġt he", "i n", "Ġ a", "1 2"]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool>"]
    tokens += byte_characters() + [m.replace(" ", "") for m in merges]
    types = [3, 3, 3, 4] + [1] * (len(tokens) - 4)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}")
    return len(tokens)


def sentence_piece(writer):
    pieces = [("▁", -3.0), ("t", -4.0), ("h", -5.0), ("e", -6.0), ("a", -7.0), ("n", -8.0)]
    pieces += [("▁t", -1.0), ("he", -1.5), ("▁the", -0.5), ("an", -2.0), ("▁a", -2.5)]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + [p for p, _ in pieces]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [s for _, s in pieces])
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * len(pieces))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    return len(tokens)


def main():
    blocks()

    model = Model("llama", "llama", 2, interleaved=True)
    vocab = byte_level(model.writer, "smollm")
    model.tensor("token_embd.weight", T.Q8_0, (vocab, model.HIDDEN))
    factors = np.linspace(1, 8, model.SIZE // 2).astype(np.float32)
    model.writer.add_tensor("rope_freqs.weight", factors)
    model.layer(0, T.Q4_1, T.Q4_1, T.Q4_1, T.Q5_0, T.Q4_0, T.Q8_0, T.Q4_K)
    model.layer(1, T.Q4_0, T.Q4_0, T.BF16, T.F16, T.Q5_1, T.Q4_1, T.Q6_K)
    model.finish(2)

    model = Model("qwen3", "qwen3", 3, interleaved=False)
    vocab = sentence_piece(model.writer)
    model.tensor("token_embd.weight", T.Q4_1, (vocab, model.HIDDEN))
    model.tensor("output.weight", T.F16, (vocab, model.HIDDEN))
    model.layer(0, T.Q4_0, T.Q4_0, T.Q4_0, T.F32, T.Q4_0, T.Q4_0, T.Q5_K, norms=True)
    model.finish(1)

    model = Model("qwen2", "qwen2", 4, interleaved=False)
    vocab = byte_level(model.writer, "qwen2")
    model.tensor("token_embd.weight", T.Q4_1, (vocab, model.HIDDEN))
    model.layer(0, T.Q8_0, T.Q4_0, T.Q8_0, T.Q4_0, T.Q4_0, T.Q4_0, T.Q4_0, biases=True)
    model.finish(1)

    model = Model("phi3", "phi3", 5, interleaved=False, HEADS=2, KV=1, SIZE=32)
    vocab = byte_level(model.writer, "gpt-4o")
    model.tensor("token_embd.weight", T.F16, (vocab, model.HIDDEN))
    w, rotary = model.writer, 16  # of 32
    w.add_rope_dimension_count(rotary)
    w.add_rope_scaling_orig_ctx_len(32)
    w.add_rope_scaling_attn_factors(1.125)
    w.add_sliding_window(262144)
    w.add_tensor("rope_factors_short.weight", np.linspace(1, 1.5, rotary // 2).astype(np.float32))
    w.add_tensor("rope_factors_long.weight", np.linspace(2, 8, rotary // 2).astype(np.float32))
    model.fused_layer(0)
    model.finish(1)


if __name__ == "__main__":
    main()
