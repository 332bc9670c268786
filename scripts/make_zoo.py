#!/usr/bin/env python3
"""Make small model folders with the official builder and record what ONNX Runtime answers.

Each variant is a random transformers model of one family (3 layers, vocabulary 512, hidden 192),
exported by the builder of onnxruntime-genai for `-e cpu`, with `expected.json` in the format of
testdata/zoo/README.md beside it. `inhouse verify` holds an engine against such folders.

    pip install onnxruntime==1.31.1 onnxruntime-genai==0.18.0 onnx==1.23.2 onnx_ir transformers torch
    make_zoo.py --list                     the variants
    make_zoo.py make OUT [NAME ...]        export and record into OUT/NAME (default: every variant)
    make_zoo.py record FOLDER [...]        record expected.json again for folders that exist
    make_zoo.py check FOLDER [...]         record and compare with the expected.json that is there

The tokenizer files come from testdata/zoo (or --zoo DIR). What a recording means:
`exact` runs the graph with every MatMulNBits at accuracy_level 0 and f16 tensors widened to f32, on one
thread, feeding the KV of each step to the next, greedily; `as_exported` runs the graph as it is along the same ids, and its
rms_error_in_sd is the RMS of (as_exported - exact) over the logits of all steps divided by the standard
deviation of the last exact logits. A LongRoPE graph whose length crosses the original one starts over
with the whole sequence, as the official runtime does. Bounded window caches (sliding_window_cache) are recorded
with an unbounded one: the attention looks at the same positions.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import traceback

import numpy as np
import onnx
import onnxruntime as ort

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROMPTS = ((1, 8), (17, 40), (90, 24))  # prompt length, steps after the prefill
NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}

# --------------------------------------------------------------------------------------------
# The variants
# --------------------------------------------------------------------------------------------

SIZES = dict(
    vocab_size=512,
    hidden_size=192,
    intermediate_size=320,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=1024,
    rms_norm_eps=1e-6,
    bos_token_id=0,
    eos_token_id=1,
    pad_token_id=1,
)
LLAMA3_ROPE = dict(
    rope_type="llama3",
    rope_theta=500000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=256,
)


def longrope(width, **more):
    """Short and long factors for `width` rotated dimensions."""
    pairs = width // 2
    return dict(
        rope_type="longrope",
        type="longrope",
        rope_theta=10000.0,
        short_factor=[1.0 + 0.02 * i for i in range(pairs)],
        long_factor=[1.0 + 1.5 * i for i in range(pairs)],
        **more,
    )


def phi4mini(**more):
    config = dict(
        num_attention_heads=3,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        original_max_position_embeddings=64,
        rms_norm_eps=1e-5,
        partial_rotary_factor=0.75,
        rope_parameters=longrope(48, partial_rotary_factor=0.75),
        sliding_window=262144,
        tie_word_embeddings=True,
    )
    return ("phi3", {**config, **more})


def phi35(**more):
    config = dict(
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=4096,
        original_max_position_embeddings=64,
        rms_norm_eps=1e-5,
        rope_parameters=longrope(64),
        sliding_window=262144,
    )
    return ("phi3", {**config, **more})


def phi3(**more):
    config = dict(
        num_key_value_heads=6,
        original_max_position_embeddings=1024,
        rms_norm_eps=1e-5,
        sliding_window=2047,
    )
    return ("phi3", {**config, **more})


def llama3(**more):
    return ("llama", {**dict(rms_norm_eps=1e-5, rope_parameters=LLAMA3_ROPE), **more})


def llama2(**more):
    return ("llama", {**dict(num_key_value_heads=6, rms_norm_eps=1e-5), **more})


def mistral(**more):
    return ("mistral", {**dict(rms_norm_eps=1e-5, sliding_window=None), **more})


def qwen2(**more):
    rope = dict(rope_type="default", rope_theta=1000000.0)
    return ("qwen2", {**dict(tie_word_embeddings=True, rope_parameters=rope), **more})


def qwen3(**more):
    rope = dict(rope_type="default", rope_theta=1000000.0)
    return ("qwen3", {**dict(head_dim=64, rope_parameters=rope), **more})


def variants():
    """name -> (family and config, precision, extra options, what it covers)."""
    v = {}

    def add(name, model, precision, options="", why="", **more):
        assert name not in v, name
        v[name] = dict(family=model[0], config=model[1], precision=precision, options=options, why=why, **more)

    add("phi3-4k-int4", phi3(), "int4", "", "Phi-3 without LongRoPE; block 32, accuracy 4; sliding_window in the config")
    add("phi35-int4", phi35(), "int4", "", "LongRoPE over the full head, heads = kv heads, untied")
    add("phi4mini-cross", phi4mini(), "int4", "", "as phi4mini-int4, with a case that crosses the original length",
        prompts=PROMPTS + ((60, 24),))
    add("phi35-fp32-cross", phi35(), "fp32", "", "LongRoPE unquantised, with a crossing case", prompts=PROMPTS + ((60, 24),))
    add("phi35-4096-cross", phi35(original_max_position_embeddings=4096, max_position_embeddings=8192), "int4", "",
        "the real original length, with a case that crosses it", prompts=((1, 8), (4090, 16)))
    add("llama2-int4", llama2(), "int4", "", "heads = kv heads, untied, eps 1e-5, symmetric")
    add("llama32-int4-tied", llama3(tie_word_embeddings=True), "int4", "", "Llama 3 rope, embedding shared with the head by default")
    add("llama32-fp32-tied", llama3(tie_word_embeddings=True), "fp32", "", "unquantised tied embedding: Transpose before Gather")
    add("llama32-int4-untied-option", llama3(tie_word_embeddings=True), "int4", "shared_embeddings=false", "tied in the model, two tables in the graph")
    add("mistral-int4-nowindow", mistral(), "int4", "", "Mistral without a window")
    add("mistral-nemo-int4", mistral(head_dim=64), "int4", "", "head size apart from hidden / heads")
    add("mistral-int4-window", mistral(sliding_window=32, layer_types=["sliding_attention"] * 3), "int4", "windowed_kv_cache=false",
        "local_window_size 32 in every layer")
    add("mistral-int4-window-cache", mistral(sliding_window=32, layer_types=["sliding_attention"] * 3), "int4", "",
        "sliding_window_cache: bounded KV")
    add("mistral-int4-window-config", mistral(sliding_window=32), "int4", "", "window only in the config")
    add("qwen25-int4-tied", qwen2(), "int4", "", "qkv bias, tied, symmetric, block 32")
    add("qwen25-int4-untied", qwen2(tie_word_embeddings=False), "int4", "is_symmetric=false", "qkv bias, untied, zero points")
    add("qwen25-fp32", qwen2(), "fp32", "", "qkv bias, unquantised, tied")
    add("qwen2-mixed-window", qwen2(use_sliding_window=True, sliding_window=32, max_window_layers=1), "int4", "windowed_kv_cache=false",
        "full attention in the first layer, a window in the others")
    add("qwen2-mixed-window-cache", qwen2(use_sliding_window=True, sliding_window=32, max_window_layers=1), "int4", "",
        "the same with a bounded KV")
    add("qwen3-int4", qwen3(), "int4", "", "q and k norms, block 32")
    add("qwen3-int4-tied", qwen3(tie_word_embeddings=True), "int4", "", "q and k norms, shared embedding")
    add("qwen3-fp32", qwen3(), "fp32", "", "q and k norms, unquantised")
    add("qwen3-int4-bias", qwen3(attention_bias=True), "int4", "", "q and k norms and biases")

    for algo in ("rtn", "rtn_last", "k_quant", "k_quant_last", "k_quant_mixed"):
        add(f"phi4mini-int4-{algo}", phi4mini(), "int4", f"algo_config={algo}", f"quantised by {algo}, tied")
        add(f"llama-int4-{algo}", llama3(), "int4", f"algo_config={algo}", f"quantised by {algo}, untied")
        add(f"llama-int4-{algo}-asym", llama3(), "int4", f"algo_config={algo} is_symmetric=false", f"quantised by {algo}, zero points")
    add("llama-int4-default-mixed", llama3(), "int4", "matmul_mixed_precision=last_matmul:int8,mixed_layers:int8", "the default quantiser, 4 and 8 bits")
    for precision in ("int8",):
        add("phi4mini-int8", phi4mini(), precision, "", "8 bits, tied in the model")
        add("phi4mini-int8-asym", phi4mini(), precision, "is_symmetric=false", "8 bits with zero points")
        add("llama-int8", llama3(), precision, "", "8 bits")
        add("llama-int8-rtn", llama3(), precision, "algo_config=rtn", "8 bits by rtn")
        add("llama-int8-rtn-asym", llama3(), precision, "algo_config=rtn is_symmetric=false", "8 bits by rtn with zero points")
        add("llama-int8-kquant", llama3(), precision, "algo_config=k_quant", "8 bits by k_quant")
    for block in (16, 32, 64, 128, 256):
        for bits in (4, 8):
            add(f"llama-int{bits}-b{block}", llama3(), f"int{bits}", f"block_size={block}", f"{bits} bits, block {block}, symmetric")
            add(f"llama-int{bits}-b{block}-asym", llama3(), f"int{bits}", f"block_size={block} is_symmetric=false", f"{bits} bits, block {block}, zero points")
        add(f"phi4mini-int4-b{block}", phi4mini(), "int4", f"block_size={block}", f"shared embedding, block {block} (padded where it does not divide)")
        add(f"phi4mini-int4-b{block}-rtn-asym", phi4mini(), "int4", f"block_size={block} algo_config=rtn is_symmetric=false",
            f"shared embedding with zero points, block {block}")
    for level in (0, 1, 2, 3):
        add(f"llama-int4-acc{level}", llama3(), "int4", f"accuracy_level={level}", f"accuracy level {level}")
        add(f"llama-int8-acc{level}", llama3(), "int8", f"accuracy_level={level}", f"8 bits, accuracy level {level}")

    for family, model in (("phi4mini", phi4mini()), ("llama", llama3()), ("qwen3", qwen3()), ("qwen25", qwen2())):
        add(f"{family}-fp16-cpu", model, "fp16", "", "`-p fp16 -e cpu`")
        add(f"{family}-fp16-cuda", model, "fp16", "", "`-p fp16 -e cuda`, the graph of published fp16 folders", provider="cuda")
        add(f"{family}-int4-f16io", model, "int4", "", "`-p int4 -e cuda`: 4 bits with f16 activations, scales and KV", provider="cuda")
    add("llama-bf16-cpu", llama3(), "bf16", "", "`-p bf16 -e cpu`")

    add("llama-exclude-embeds", llama3(), "int4", "exclude_embeds=true", "inputs_embeds instead of input_ids")
    add("llama-exclude-head", llama3(), "int4", "exclude_lm_head=true", "hidden_states instead of logits")
    add("llama-prune-head", llama3(), "int4", "prune_lm_head=true", "logits of the last position only")
    add("phi4mini-prune-head", phi4mini(), "int4", "prune_lm_head=true", "logits of the last position only, tied")
    add("llama-hidden-states", llama3(), "int4", "include_hidden_states=true", "hidden_states beside the logits")
    add("llama-qdq", llama3(), "int4", "use_qdq=true", "DequantizeLinear before MatMul")
    add("phi4mini-qdq", phi4mini(), "int4", "use_qdq=true", "DequantizeLinear before MatMul, tied")
    add("llama-qdq-asym", llama3(), "int4", "use_qdq=true is_symmetric=false", "DequantizeLinear with zero points")
    add("llama-unpacked", llama3(), "int4", "fuse_qkv=false", "separate q, k and v")
    add("qwen25-unpacked", qwen2(), "int4", "fuse_qkv=false", "separate q, k and v with biases")
    add("qwen3-unpacked", qwen3(), "int4", "fuse_qkv=false", "separate q, k and v with norms")
    add("phi4mini-unpacked", phi4mini(), "int4", "disable_qkv_fusion=true", "separate q, k and v, partial rotary")
    add("llama-gate-up-fused", llama3(), "int4", "fuse_mlp_gate_up=true", "gate and up in one matrix, Split")
    add("phi4mini-gate-up-fused", phi4mini(), "int4", "fuse_mlp_gate_up=true", "gate and up in one matrix, Split")
    add("llama-int4-gather", llama3(), "int4", "op_types_to_quantize=MatMul/Gather", "untied embedding quantised apart")
    add("llama-int4-gather-rtn", llama3(), "int4", "op_types_to_quantize=MatMul/Gather algo_config=rtn is_symmetric=false", "the same by rtn, zero points")
    add("llama-int4-gather-qdq", llama3(), "int4", "op_types_to_quantize=MatMul/Gather use_qdq=true", "the same as QDQ")
    add("llama-int4-excluded", llama3(), "int4", "nodes_to_exclude=/lm_head/MatMul,/model/layers.1/mlp/down_proj/MatMul", "some nodes left in f32")
    add("llama-kv-int8", llama3(), "int4", "kv_cache_quant_scheme=int8_per_tensor", "quantised KV cache", kv_scales="tensor")
    add("llama-kv-int8-channel", llama3(), "int4", "kv_cache_quant_scheme=int8_per_channel", "quantised KV cache, a scale per channel", kv_scales="channel")
    add("llama-kv-int4", llama3(), "int4", "kv_cache_quant_scheme=int4_per_tensor", "4-bit KV cache", kv_scales="tensor")

    asym, rtn = "is_symmetric=false", "algo_config=rtn is_symmetric=false"
    add("llama-int4-float-zp", llama3(), "int4", asym, "float zero points", edit=float_zero_points)
    add("llama-int4-float-zp-acc1", llama3(), "int4", asym + " accuracy_level=1", "float zero points", edit=float_zero_points)
    add("llama-int4-float-zp-b128", llama3(), "int4", asym + " block_size=128", "float zero points", edit=float_zero_points)
    add("llama-int8-float-zp", llama3(), "int8", asym, "float zero points, 8 bits", edit=float_zero_points)
    add("phi4mini-int4-asym", phi4mini(), "int4", asym, "shared embedding, default quantiser, zero points")
    add("llama-int4-flat", llama3(), "int4", "", "scales in one dimension", edit=flat_scales)
    add("llama-int4-flat-asym", llama3(), "int4", rtn, "scales and zero points in one dimension", edit=flat_scales)
    add("llama-int8-flat-asym", llama3(), "int8", rtn, "scales and zero points in one dimension", edit=flat_scales)
    add("llama-int4-bias-input", llama3(), "int4", "", "bias as an input of MatMulNBits", edit=bias_input)
    add("llama-int4-gidx", llama3(), "int4", "", "g_idx", edit=group_index)
    add("llama-int4-gidx-asym", llama3(), "int4", rtn, "g_idx and zero points", edit=group_index)
    add("llama-gptq", llama3(), "int4", "", "a GPTQ checkpoint: the builder's own MatMulNBits", gptq="plain")
    add("llama-gptq-desc-act", llama3(), "int4", "", "a GPTQ checkpoint in activation order: g_idx", gptq="desc_act")
    add("qwen25-gptq", qwen2(), "int4", "", "a GPTQ checkpoint with biases", gptq="plain")
    add("llama-int4-inline", llama3(), "int4", "", "weights inside model.onnx", edit=inline)
    add("llama-int4-typed", llama3(), "int4", asym, "weights in typed fields", edit=typed_fields)
    add("llama-fp32-typed", llama3(), "fp32", "", "weights in typed fields", edit=typed_fields)
    add("llama-fp16-typed", llama3(), "fp16", "", "f16 weights in typed fields", edit=typed_fields, provider="cuda")
    add("llama2-fp16-cpu", llama2(), "fp16", "", "`-p fp16 -e cpu` without repeated heads")
    add("qwen3-fp16-cuda-unfused", qwen3(), "fp16", "fuse_qk_norm_gqa=false", "norms as nodes", provider="cuda")
    add("qwen3-int4-f16io-unfused", qwen3(), "int4", "fuse_qk_norm_gqa=false", "norms as nodes", provider="cuda")
    add("llama-int4-f16io-acc4", llama3(), "int4", "accuracy_level=4", "f16 activations and level 4", provider="cuda")
    add("llama-int4-webgpu", llama3(), "int4", "", "`-e webgpu`", provider="webgpu")
    add("phi4mini-fp16-webgpu", phi4mini(), "fp16", "", "`-e webgpu`", provider="webgpu")
    add("phi4mini-int4-dml", phi4mini(), "int4", "", "`-e dml`: rope outside attention, one table for both lengths", provider="dml")
    add("smollm3-int4-rope", ("smollm3", dict(no_rope_layers=[1, 1, 1], tie_word_embeddings=True)), "int4", "", "rope in every layer")
    for size in (64, 80, 96, 128):
        add(f"llama-hd{size}", llama3(head_dim=size), "int4", "", f"head size {size}")
        add(f"qwen3-hd{size}", qwen3(head_dim=size), "int4", "", f"head size {size} with norms")
    add("phi35-hd96", phi35(num_attention_heads=2, num_key_value_heads=2, rope_parameters=longrope(96)), "int4", "", "head size 96, as Phi-3.5-mini")
    add("phi4mini-hd96-half", phi4mini(num_attention_heads=2, num_key_value_heads=1, partial_rotary_factor=0.5,
        rope_parameters=longrope(48, partial_rotary_factor=0.5)), "int4", "", "half of each head is rotated")
    add("phi4mini-mscale", phi4mini(rope_parameters=longrope(48, partial_rotary_factor=0.75, short_mscale=1.1, long_mscale=1.25)), "int4", "",
        "its own scale for each table")
    add("llama-mqa", llama3(num_key_value_heads=1), "int4", "", "one kv head")
    add("llama-theta", llama3(rope_parameters=dict(rope_type="default", rope_theta=75000.0)), "int4", "", "rope theta")
    add("llama-linear-rope", mistral(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)), "int4", "", "linear scaling")
    add("mistral-yarn", mistral(rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, beta_fast=32.0, beta_slow=1.0,
        original_max_position_embeddings=256)), "int4", "", "YaRN")
    add("qwen3-yarn", qwen3(rope_parameters=dict(rope_type="yarn", rope_theta=1000000.0, factor=4.0, beta_fast=32.0, beta_slow=1.0,
        original_max_position_embeddings=256)), "int4", "", "YaRN")
    add("llama-odd", llama3(intermediate_size=328, vocab_size=509), "int4", "", "widths that no block divides")
    add("llama-odd-asym", llama3(intermediate_size=328, vocab_size=509), "int4", "is_symmetric=false block_size=64", "the same with zero points, block 64")
    add("llama-bias", llama3(attention_bias=True, mlp_bias=True), "int4", "", "biases everywhere")
    add("llama-gelu", llama3(hidden_act="gelu"), "int4", "", "GELU")
    add("llama-gelu-tanh", llama3(hidden_act="gelu_pytorch_tanh"), "int4", "", "tanh GELU")
    add("llama-relu2", llama3(hidden_act="relu2"), "int4", "", "squared ReLU")

    # Other families: what a loader must at least name in an error.
    for precision in ("int4", "fp32"):
        add(f"gemma-{precision}", ("gemma", dict(head_dim=64, hidden_act="gelu_pytorch_tanh", tie_word_embeddings=True)), precision, "",
            "scaled embedding, tanh GELU")
        add(f"gemma2-{precision}", ("gemma2", dict(head_dim=64, query_pre_attn_scalar=64, sliding_window=32, tie_word_embeddings=True)), precision,
            "windowed_kv_cache=false",
            "softcaps, four norms a layer, every other layer windowed")
        add(f"gemma3-{precision}", ("gemma3_text", dict(head_dim=64, query_pre_attn_scalar=64, sliding_window=32, tie_word_embeddings=True,
            layer_types=["sliding_attention", "sliding_attention", "full_attention"])), precision, "", "norms, two rope tables")
        add(f"granite-{precision}", ("granite", dict(embedding_multiplier=12.0, attention_multiplier=0.03, logits_scaling=8.0, residual_multiplier=0.22)),
            precision, "", "multipliers")
        add(f"smollm3-{precision}", ("smollm3", dict(no_rope_layers=[1, 1, 0], tie_word_embeddings=True)), precision, "", "a layer without rope")
        add(f"olmo-{precision}", ("olmo", dict()), precision, "", "LayerNorm without weights")
        add(f"phi2-{precision}", ("phi", dict(num_key_value_heads=6, partial_rotary_factor=0.5)), precision, "", "parallel block, LayerNorm, biases")
        add(f"nemotron-{precision}", ("nemotron", dict(hidden_act="relu2", partial_rotary_factor=0.5)), precision, "", "LayerNorm, squared ReLU")
        add(f"ernie45-{precision}", ("ernie4_5", dict(head_dim=32, tie_word_embeddings=True)), precision, "", "interleaved rope")
        add(f"hunyuan-{precision}", ("hunyuan_v1_dense", dict(head_dim=64)), precision, "", "norms after rope")
    return v


# --------------------------------------------------------------------------------------------
# Changes to an export: forms of MatMulNBits that other tools write
# --------------------------------------------------------------------------------------------


def nbits(graph):
    """The MatMulNBits nodes with their attributes and a way to replace an initialiser."""
    tensors = {t.name: t for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

            def change(i, function, node=node):
                t = tensors[node.input[i]]
                t.CopyFrom(onnx.numpy_helper.from_array(function(onnx.numpy_helper.to_array(t)), t.name))

            yield node, attributes, change


def float_zero_points(graph):
    """Packed zero points as floats of the scales' type, with a fraction no integer has."""
    for node, attributes, change in nbits(graph):
        blocks = -(-attributes["K"] // attributes["block_size"])

        def unpack(zp):
            zp = zp.reshape(attributes["N"], -1)
            if attributes["bits"] == 4:
                zp = np.stack([zp & 15, zp >> 4], -1).reshape(len(zp), -1)[:, :blocks]
            return zp.astype(np.float32) + np.float32(0.25)

        change(3, unpack)


def flat_scales(graph):
    """Scales and zero points in one dimension, as builders before 0.10 wrote them."""
    for node, _, change in nbits(graph):
        for i in range(2, len(node.input)):
            change(i, lambda t: t.reshape(-1))


def bias_input(graph):
    """The sixth input."""
    rng = np.random.default_rng(5)
    for node, attributes, _ in nbits(graph):
        name = node.name + ".bias"
        bias = rng.normal(0, 0.2, attributes["N"]).astype(np.float32)
        graph.initializer.append(onnx.numpy_helper.from_array(bias, name))
        node.input.extend([""] * (5 - len(node.input)) + [name])


def group_index(graph):
    """The fifth input: which block each k belongs to, out of order."""
    rng = np.random.default_rng(6)
    for node, attributes, _ in nbits(graph):
        name = node.name + ".g_idx"
        index = (rng.permutation(attributes["K"]) // attributes["block_size"]).astype(np.int32)
        graph.initializer.append(onnx.numpy_helper.from_array(index, name))
        node.input.extend([""] * (4 - len(node.input)) + [name])


def inline(graph):
    """No external data."""
    return True


def typed_fields(graph):
    """Floats in float_data, bytes and integers in int32_data and int64_data, nothing raw and nothing outside."""
    for t in graph.initializer:
        values = onnx.numpy_helper.to_array(t)
        t.CopyFrom(onnx.helper.make_tensor(t.name, t.data_type, t.dims, values.ravel().tolist()))
    return True


# --------------------------------------------------------------------------------------------
# Random weights and the official builder
# --------------------------------------------------------------------------------------------


def random_model(family, config, seed, folder):
    """Save a transformers model of `family` with random weights whose logits spread over several units."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    eps = {k: v for k, v in SIZES.items()}
    eps.update(config)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **eps))
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 1:
                centre = 0.0 if "gemma" in family or "nemotron" in family or name.endswith("bias") else 1.0
                p.copy_(centre + (0.2 if name.endswith("bias") else 0.1) * torch.randn_like(p))
            else:
                p.copy_(0.25 * torch.randn_like(p))
    model.save_pretrained(folder)
    return model.config.architectures or [type(model).__name__]


def gptq_checkpoint(folder, desc_act, group=32):
    """Rewrite a saved model as a GPTQ checkpoint: 4 bits, int32 words, zero points less one."""
    import torch
    from safetensors.torch import load_file, save_file

    path = os.path.join(folder, "model.safetensors")
    tensors = load_file(path)
    rng = np.random.default_rng(7)
    orders = {}

    def words(q, axis):
        q = np.moveaxis(q, axis, 0).astype(np.uint32)
        packed = sum(q[i::8] << np.uint32(4 * i) for i in range(8))
        return torch.from_numpy(np.moveaxis(packed.view(np.int32), 0, axis).copy())

    for name in [n for n in tensors if n.endswith("proj.weight")]:
        w = tensors.pop(name).float().numpy().T  # [K, N]
        k = w.shape[0]
        # One order for all matrices that share an input, as act-order quantisation gives.
        key = (name.split(".")[2], "down" if "down" in name else "o" if "o_proj" in name else "mlp" if "mlp" in name else "qkv")
        index = orders.setdefault(key, (rng.permutation(k) if desc_act else np.arange(k)) // group)
        scales, zeros = np.empty((k // group, w.shape[1]), np.float16), np.empty((k // group, w.shape[1]), np.int64)
        q = np.empty(w.shape, np.int64)
        for g in range(k // group):
            rows = w[index == g]
            low, high = np.minimum(rows.min(0), 0), np.maximum(rows.max(0), 0)
            scales[g] = (high - low) / 15
            zeros[g] = np.clip(np.round(-low / scales[g]), 1, 15)
            q[index == g] = np.clip(np.round(rows / scales[g]) + zeros[g], 0, 15)
        stem = name.removesuffix("weight")
        tensors[stem + "qweight"] = words(q, 0)
        tensors[stem + "qzeros"] = words(zeros - 1, 1)
        tensors[stem + "scales"] = torch.from_numpy(scales)
        tensors[stem + "g_idx"] = torch.from_numpy(index.astype(np.int32))
    save_file({n: t.contiguous() for n, t in tensors.items()}, path)
    config = json.load(open(os.path.join(folder, "config.json")))
    config["quantization_config"] = dict(quant_method="gptq", bits=4, group_size=group, desc_act=desc_act, sym=False)
    json.dump(config, open(os.path.join(folder, "config.json"), "w"))


def export(name, variant, zoo, out):
    """Build OUT/NAME with the official builder."""
    import onnxruntime_genai

    models = os.path.join(os.path.dirname(onnxruntime_genai.__file__), "models")
    if models not in sys.path:
        sys.path.append(models)
    import builder

    nearest = {"phi3": "phi4mini-int4", "qwen2": "qwen2-mixed", "qwen3": "qwen3-int8", "mistral": "mistral-int4-b64"}
    tokenizer = os.path.join(zoo, nearest.get(variant["family"], "llama-fp32"))
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        source = os.path.join(work, "source")
        random_model(variant["family"], variant["config"], sum(map(ord, name)), source)
        for f in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(os.path.join(tokenizer, f), source)
        if "gptq" in variant:
            gptq_checkpoint(source, variant["gptq"] == "desc_act")
        options = list(variant["options"].split())
        if "kv_scales" in variant:
            options.append("kv_cache_scale_file=" + kv_scale_file(variant, work))
        provider = variant.get("provider", "cpu")
        cache = os.path.join(work, "cache")
        arguments = ("", source, folder, variant["precision"], provider, cache)
        extra = builder.parse_extra_options(*arguments, options)
        builder.create_model(*arguments, **extra)
    if "edit" in variant:
        path = os.path.join(folder, "model.onnx")
        model = onnx.load(path)
        os.remove(path + ".data")
        inline = variant["edit"](model.graph)
        onnx.save(model, path, save_as_external_data=not inline, location="model.onnx.data")
    if provider != "cpu":  # the graph is what matters; the folder is for CPUs
        path = os.path.join(folder, "genai_config.json")
        config = json.load(open(path))
        config["model"]["decoder"]["session_options"]["provider_options"] = []
        json.dump(config, open(path, "w"), indent=4)


def kv_scale_file(variant, work):
    """A calibration file for a quantised KV cache."""
    config = {**SIZES, **variant["config"]}
    width = config["num_key_value_heads"] * config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    bits = 8 if "int8" in variant["options"] else 4
    # Values reach about 5; the stored scale is the threshold over half the range.
    scale = 6.0 / 2 ** (bits - 1)
    entry = scale if variant["kv_scales"] == "tensor" else [scale * (1 + 0.3 * (i % 3)) for i in range(width)]
    path = os.path.join(work, "kv_scales.json")
    layers = config["num_hidden_layers"]
    json.dump({"scales": {"k_scales": [entry] * layers, "v_scales": [entry] * layers}}, open(path, "w"))
    return path


# --------------------------------------------------------------------------------------------
# Recording
# --------------------------------------------------------------------------------------------


def read_config(folder):
    return json.load(open(os.path.join(folder, "genai_config.json")))["model"]


def session(folder, exact):
    """The graph of a folder on one thread; `exact` computes in f32 throughout."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    path = os.path.join(folder, read_config(folder)["decoder"]["filename"])
    model = onnx.load(path)
    if any(n.op_type == "MultiHeadAttention" for n in model.graph.node):
        options.enable_mem_reuse = False  # the builder's shapes for repeated heads mislead the planner
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "sliding_window_cache" or exact and attribute.name == "accuracy_level":
                attribute.i = 0
    if exact:
        widen(model.graph)
    with tempfile.TemporaryDirectory() as work:
        changed = os.path.join(work, os.path.basename(path))
        onnx.save(model, changed, save_as_external_data=True, location="data")
        return ort.InferenceSession(changed, options, providers=["CPUExecutionProvider"])


def widen(graph):
    """Make every f16 tensor of a graph f32."""
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT

    def tensor(t):
        if t.data_type == half:
            t.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(t).astype(np.float32), t.name))

    for t in graph.initializer:
        tensor(t)
    for v in (*graph.input, *graph.output):
        if v.type.tensor_type.elem_type == half:
            v.type.tensor_type.elem_type = single
    del graph.value_info[:]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                tensor(attribute.t)
            elif attribute.type == onnx.AttributeProto.GRAPH:
                widen(attribute.g)
            elif node.op_type == "Cast" and attribute.i == half:
                attribute.i = single


def longrope_border(folder):
    """The length beyond which the graph takes its long rope table, or None."""
    path = os.path.join(folder, read_config(folder)["decoder"]["filename"])
    graph = onnx.load(path, load_external_data=False).graph
    made = {o: n for n in graph.node for o in n.output}
    for node in graph.node:
        if node.op_type == "If":
            greater = made[node.input[0]]
            constant = made[greater.input[1]].attribute[0].t
            return int(onnx.numpy_helper.to_array(constant))
    return None


class Decoder:
    """A session with the KV of one sequence."""

    def __init__(self, folder, session, border):
        self.session, self.border = session, border
        self.head_size = read_config(folder)["decoder"]["head_size"]
        self.outputs = [o.name for o in session.get_outputs()]
        self.ids = []
        self.forget()

    def forget(self):
        self.kv = {}
        for i in self.session.get_inputs():
            if i.name.startswith("past_key_values"):
                width = i.shape[3] if isinstance(i.shape[3], int) else self.head_size
                self.kv[i.name] = np.zeros((1, i.shape[1], 0, width), NUMPY_TYPES[i.type])
        self.past = 0

    def step(self, ids):
        """Logits of every given position."""
        self.ids += ids
        if self.border and 0 < self.past <= self.border < len(self.ids):
            self.forget()  # the keys before were rotated with the short table
            return self.run(self.ids)[-len(ids):]
        return self.run(ids)

    def run(self, ids):
        total = self.past + len(ids)
        feeds = {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, total), np.int64), **self.kv}
        names = {i.name for i in self.session.get_inputs()}
        if "position_ids" in names:
            feeds["position_ids"] = np.arange(self.past, total, dtype=np.int64)[None]
        values = dict(zip(self.outputs, self.session.run(self.outputs, feeds)))
        for name in self.kv:
            self.kv[name] = values[name.replace("past_key_values", "present")]
        self.past = total
        return values["logits"][0].astype(np.float32)


def record_case(folder, exact, exported, border, ids, steps):
    a, b = Decoder(folder, exact, border), Decoder(folder, exported, border)
    prefill, prefill_b = a.step(list(ids)), b.step(list(ids))
    logits, logits_b, greedy = [prefill[-1]], [prefill_b[-1]], [int(prefill[-1].argmax())]
    for _ in range(steps):
        logits.append(a.step([greedy[-1]])[-1])
        logits_b.append(b.step([greedy[-1]])[-1])
        greedy.append(int(logits[-1].argmax()))
    top = np.sort(np.array(logits, np.float64))[:, -2:]
    difference = np.array(logits_b, np.float64) - np.array(logits, np.float64)
    rms = np.sqrt((difference**2).mean()) / logits[-1].astype(np.float64).std()

    def rounded(values):
        return [round(float(x), 5) for x in values]

    return {
        "input_ids": [int(x) for x in ids],
        "exact": {
            "prefill_last_logits": rounded(prefill[-1]),
            "prefill_argmax_per_position": [int(x) for x in prefill.argmax(-1)],
            "greedy": greedy,
            "top1_minus_top2": [round(float(x), 4) for x in top[:, 1] - top[:, 0]],
            "final_logits": rounded(logits[-1]),
        },
        "as_exported": {
            "prefill_last_logits": rounded(prefill_b[-1]),
            "final_logits": rounded(logits_b[-1]),
            "rms_error_in_sd": round(float(rms), 5),
        },
    }


def record(folder, cases):
    """The contents of expected.json; `cases` are pairs of ids and a number of steps."""
    exact, exported, border = session(folder, True), session(folder, False), longrope_border(folder)
    return {
        "made_by": f"onnxruntime {ort.__version__}, CPU, one thread",
        "cases": [record_case(folder, exact, exported, border, ids, steps) for ids, steps in cases],
    }


def new_cases(folder, prompts):
    rng = np.random.default_rng(sum(map(ord, os.path.basename(folder.rstrip("/")))))
    vocabulary = min(512, read_config(folder)["vocab_size"])
    return [(rng.integers(9, vocabulary, length).tolist(), steps) for length, steps in prompts]


def old_cases(folder):
    expected = json.load(open(os.path.join(folder, "expected.json")))
    return [(c["input_ids"], len(c["exact"]["greedy"]) - 1) for c in expected["cases"]]


def write_expected(folder, cases):
    expected = record(folder, cases)
    for case in expected["cases"]:
        spread = np.std(case["exact"]["final_logits"])
        if not np.isfinite(spread) or spread == 0:
            raise ValueError("the recorded logits are not finite or all the same")
    json.dump(expected, open(os.path.join(folder, "expected.json"), "w"))
    return expected


# --------------------------------------------------------------------------------------------


def make(out, names, zoo):
    """Export and record; one line per variant, failures included."""
    known, failed = variants(), 0
    for name in names or known:
        variant = known[name]
        try:
            export(name, variant, zoo, out)
        except Exception as e:
            failed += 1
            print(f"RESULT {name}: the builder refuses: {type(e).__name__}: {e}", flush=True)
            traceback.print_exc()
            continue
        folder = os.path.join(out, name)
        try:
            expected = write_expected(folder, new_cases(folder, variant.get("prompts", PROMPTS)))
            rms = [c["as_exported"]["rms_error_in_sd"] for c in expected["cases"]]
            print(f"RESULT {name}: recorded, rms {rms}", flush=True)
        except Exception as e:
            failed += 1
            print(f"RESULT {name}: exported, not recorded: {type(e).__name__}: {e}", flush=True)
            traceback.print_exc()
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--zoo", default=os.path.join(ROOT, "testdata", "zoo"))
    parser.add_argument("action", nargs="?", choices=("make", "record", "check"))
    parser.add_argument("arguments", nargs="*")
    args = parser.parse_args()
    if args.list:
        for name, variant in variants().items():
            print(f"{name:32} -p {variant['precision']:5} {variant['options']:60} {variant['why']}")
    elif args.action == "make":
        sys.exit(1 if make(args.arguments[0], args.arguments[1:], args.zoo) else 0)
    elif args.action == "record":
        for folder in args.arguments:
            has = os.path.exists(os.path.join(folder, "expected.json"))
            write_expected(folder, old_cases(folder) if has else new_cases(folder, PROMPTS))
    elif args.action == "check":
        bad = 0
        for folder in args.arguments:
            same = record(folder, old_cases(folder)) == json.load(open(os.path.join(folder, "expected.json")))
            print(f"{folder}: {'the same' if same else 'DIFFERS'}")
            bad += not same
        sys.exit(1 if bad else 0)
    else:
        parser.error("say make, record or check")


if __name__ == "__main__":
    main()
