#!/usr/bin/env python3
"""Write a full-size Phi-4-mini (INT4, block 32, accuracy level 4) with random weights, in GenAI's layout.

The graph is what the official onnxruntime-genai 0.18 builder writes for Phi-4-mini on CPU: the file
phi4mini-skeleton.onnx beside this one holds it with two layers and without rotary tables. This script
repeats the second layer 30 times more, makes the tables and fills every weight with random data: 32
layers, hidden 3072, 24/8 heads, vocabulary 200064, 2.4 GB. What it generates means nothing; its speed
and memory are the real ones.

    make_phi4mini.py OUT_DIR [--embedding tied|f32] [--layers N]        needs: pip install onnx numpy

With --embedding f32 the embedding is a table of its own in single precision, 2.5 GB more, as in the
form that is published. Where OUT_DIR/../phi4mini-full is there, its weights are linked, not made again.
"""

import argparse
import copy
import json
import os
import re
import shutil

import numpy as np
import onnx
from onnx import helper

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB, HIDDEN = 200064, 3072


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--embedding", choices=("tied", "f32"), default="tied")
    parser.add_argument("--layers", type=int, default=32)
    args = parser.parse_args()
    model = onnx.load(f"{HERE}/phi4mini-skeleton.onnx", load_external_data=False)
    made = args.out.rstrip("/") + ".part"
    shutil.rmtree(made, ignore_errors=True)
    os.makedirs(made)
    fill_rotary_tables(model.graph)
    repeat_layer(model.graph, args.layers)
    linked = os.path.join(os.path.dirname(os.path.abspath(args.out)), "phi4mini-full", "model.onnx.data")
    reuse = args.embedding == "f32" and args.layers == 32 and os.path.isfile(linked)
    write_weights(model.graph, f"{made}/model.onnx.data", args.layers, write=not reuse)
    if reuse:
        link_or_copy(linked, f"{made}/model.onnx.data")
    if args.embedding == "f32":
        untie_embedding(model.graph, f"{made}/embedding.data")
    del model.graph.value_info[:]
    onnx.save(model, f"{made}/model.onnx")
    config = json.load(open(f"{HERE}/phi4mini-genai_config.json"))
    config["model"]["decoder"]["num_hidden_layers"] = args.layers
    json.dump(config, open(f"{made}/genai_config.json", "w"), indent=2)
    shutil.rmtree(args.out, ignore_errors=True)
    os.replace(made, args.out)


def fill_rotary_tables(graph):
    """LongRoPE's cosines and sines: the file holds their shapes alone."""
    branches = next(node for node in graph.node if node.op_type == "If")
    for branch in branches.attribute:
        for node in branch.g.node:
            value = node.attribute[0].t
            rows, columns = value.dims
            factor = 1.0 if node.name.startswith("/small/") else 2.0
            inverse = 1.0 / (factor * 10000.0 ** (np.arange(columns) / columns))
            angles = np.arange(rows)[:, None] * inverse
            table = 1.19 * (np.cos(angles) if "cos" in node.name else np.sin(angles))
            value.raw_data = table.astype(np.float32).tobytes()


def layer(name, old, new):
    return re.sub(rf"layers\.{old}(?=[./])", f"layers.{new}", name)


def repeat_layer(graph, layers):
    def rename(name, i):
        if re.search(r"layers\.1[./]", name):
            return layer(name, 1, i)
        if re.search(r"layers\.0[./]", name):
            return layer(name, 0, i - 1)
        return re.sub(r"(past_key_values|present)\.1\.", rf"\g<1>.{i}.", name)

    def is_tail(node):
        return re.search(r"layers\.2[./]", node.name) or "/lm_head" in node.name

    block = [node for node in graph.node if re.search(r"layers\.1[./]", node.name)]
    tail = [node for node in graph.node if is_tail(node)]
    nodes = [node for node in graph.node if node not in block and not is_tail(node)]
    for i in range(1, layers):
        for node in block:
            node = copy.deepcopy(node)
            node.name = layer(node.name, 1, i)
            node.input[:] = [rename(name, i) for name in node.input]
            node.output[:] = [rename(name, i) for name in node.output]
            nodes.append(node)
    for node in tail:
        node = copy.deepcopy(node)
        node.input[:] = [layer(name, 1, layers - 1) for name in node.input]
        nodes.append(node)
    replace(graph.node, nodes)
    replace(graph.input, spread(graph.input, layers))
    replace(graph.output, spread(graph.output, layers))


def spread(values, layers):
    result = []
    for value in values:
        if not re.match(r"(past_key_values|present)\.1\.", value.name):
            result.append(value)
            continue
        for i in range(1, layers):
            value = copy.deepcopy(value)
            value.name = re.sub(r"\.\d+\.", f".{i}.", value.name, count=1)
            result.append(value)
    return result


def write_weights(graph, path, layers, write):
    """Fills every weight, or where `write` is false only says where in the file each is."""
    rng = np.random.default_rng(1)
    tensors = []
    with open(path, "wb") if write else open(os.devnull, "wb") as out:
        position = 0

        def put(tensor, name):
            nonlocal position
            position += -position % 4096
            width = 1 if tensor.data_type == onnx.TensorProto.UINT8 else 4
            count = int(np.prod(tensor.dims))
            if write:
                out.seek(position)
                out.write(random(rng, tensor, name, count).tobytes())
            tensors.append(external(tensor, name, os.path.basename(path), position, count * width))
            position += count * width

        for tensor in graph.initializer:
            if tensor.data_location != onnx.TensorProto.EXTERNAL:
                tensors.append(tensor)
            elif "layers.1." in tensor.name:
                for i in range(1, layers):
                    put(tensor, layer(tensor.name, 1, i))
            else:
                # The norm at the end belongs to the layer behind the last.
                put(tensor, tensor.name)
    replace(graph.initializer, tensors)


def random(rng, tensor, name, count):
    if tensor.data_type == onnx.TensorProto.UINT8:
        return rng.integers(0, 256, count, dtype=np.uint8)
    if "scales" in name:
        return (0.002 + 0.002 * rng.random(count)).astype(np.float32)
    return (1 + 0.05 * rng.standard_normal(count)).astype(np.float32)


def external(tensor, name, location, offset, length):
    result = onnx.TensorProto()
    result.CopyFrom(tensor)
    result.name = name
    result.data_location = onnx.TensorProto.EXTERNAL
    del result.external_data[:]
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        entry = result.external_data.add()
        entry.key, entry.value = key, value
    return result


def untie_embedding(graph, path):
    """Puts a Gather from a table of floats in place of the quantised one that shares the head's weights."""
    old = next(node for node in graph.node if node.op_type == "GatherBlockQuantized")
    reshape = next(node for node in graph.node if old.input[0] in node.output)
    name = "model.embed_tokens.weight"
    gather = helper.make_node("Gather", [name, old.input[1]], [old.output[0]], "/model/embed_tokens/Gather")
    kept = [gather if node is old else node for node in graph.node if node is not reshape]
    used = {name for node in kept for name in node.input}
    for node in [node for node in kept if node.op_type == "Constant" and node.output[0] not in used]:
        kept.remove(node)
    replace(graph.node, kept)
    rng = np.random.default_rng(2)
    with open(path, "wb") as out:
        for start in range(0, VOCAB, 4096):
            rows = min(4096, VOCAB - start)
            out.write((0.02 * rng.standard_normal((rows, HIDDEN), dtype=np.float32)).tobytes())
    table = onnx.TensorProto(data_type=onnx.TensorProto.FLOAT, dims=[VOCAB, HIDDEN])
    graph.initializer.append(external(table, name, os.path.basename(path), 0, VOCAB * HIDDEN * 4))


def replace(field, values):
    values = [copy.deepcopy(value) for value in values]
    del field[:]
    field.extend(values)


def link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
