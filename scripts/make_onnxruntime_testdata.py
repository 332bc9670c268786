#!/usr/bin/env python3
"""Make testdata/onnxruntime: small graphs with what ONNX Runtime answers for them.

    pip install onnxruntime==1.31.1 onnxruntime-genai==0.18.0 onnx==1.23.2 onnx_ir transformers==5.23.0 \\
        torch==2.15.0 tokenizers==0.23.3
    make_onnxruntime_testdata.py make OUT [NAME ...]    make and record OUT/NAME (default: every folder)
    make_onnxruntime_testdata.py check OUT [NAME ...]   record anew and compare with the expected.json that is there

What made what:
- the decoders but one: the official builder of onnxruntime-genai, from transformers models with random weights,
  recorded as scripts/make_zoo.py does (this script uses its functions);
- llama-explicit-fp32: a transformers model traced by torch's TorchScript exporter, as Optimum and the folders made for
  transformers.js do, its genai_config.json written here;
- the encoders: transformers' BertModel, traced likewise, in the layout of sentence-transformers; their tokenizers are
  written here. Embeddings are pooled with numpy from ONNX Runtime's output, ids come from the tokenizers library.

Every weight is random and seeded, so the folders carry the licence of this repository and nobody else's.
The same versions on the same machine give the same bytes. What must agree, and how closely: testdata/onnxruntime/README.md.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library is loaded

import argparse
import json
import shutil
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort

import make_zoo

# --------------------------------------------------------------------------------------------
# Decoders by the official builder
# --------------------------------------------------------------------------------------------

SMALL = dict(
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,  # more than one, so that positions of the KV are apart in memory
    max_position_embeddings=256,
)


def built(family, precision, options="", provider="cpu", config=None, **more):
    config = {**SMALL, **(config or {})}
    return dict(family=family, config=config, precision=precision, options=options, provider=provider, **more)


def phi2(precision, config=None, **more):
    return built("phi", precision, config=dict(partial_rotary_factor=1.0, **(config or {})), **more)


# "gqa" is GroupQueryAttention, "mha" MultiHeadAttention.
BUILT = {
    "phi2-int4-gqa": phi2("int4"),
    "phi2-fp16-gqa": phi2("fp16", provider="cuda"),
    "phi2-fp16-mha": phi2("fp16", config=dict(num_key_value_heads=4)),
    "llama-kv-int8": built("llama", "int4", "kv_cache_quant_scheme=int8_per_tensor", kv_scales="tensor"),
    "llama-kv-int4": built("llama", "int4", "kv_cache_quant_scheme=int4_per_tensor", kv_scales="tensor"),
}


def make_built(name, out):
    make_zoo.export(name, BUILT[name], os.path.join(make_zoo.ROOT, "testdata", "zoo"), out)


# --------------------------------------------------------------------------------------------
# A decoder with its attention written out
# --------------------------------------------------------------------------------------------

EXPLICIT = dict(make_zoo.SIZES, **SMALL)


def make_explicit(name, out):
    """Past and present are apart, joined by Concat; the graph reads position_ids and honours a padded mask."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.cache_utils import DynamicCache

    model = LlamaForCausalLM(LlamaConfig(**EXPLICIT, attn_implementation="eager"))
    randomise(model, 11, 0.25)
    layers, heads = EXPLICIT["num_hidden_layers"], EXPLICIT["num_key_value_heads"]
    head = EXPLICIT["hidden_size"] // EXPLICIT["num_attention_heads"]

    class Traced(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, position_ids, *kv):
            cache = DynamicCache(list(zip(kv[::2], kv[1::2])))
            answer = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
                past_key_values=cache, use_cache=True)
            present = [t for layer in answer.past_key_values.layers for t in (layer.keys, layer.values)]
            return (answer.logits, *present)

    past = [f"past_key_values.{i}.{kind}" for i in range(layers) for kind in ("key", "value")]
    present = [n.replace("past_key_values", "present") for n in past]
    batch, asked, before = 2, 3, 5
    ids = torch.ones(batch, asked, dtype=torch.long)
    mask = torch.ones(batch, before + asked, dtype=torch.long)
    positions = torch.arange(before, before + asked)[None].repeat(batch, 1)
    kv = [torch.zeros(batch, heads, before, head) for _ in past]
    names = ["input_ids", "attention_mask", "position_ids", *past]
    axes = {n: {0: "batch_size", 1: "sequence_length"} for n in ("input_ids", "position_ids", "logits")}
    axes["attention_mask"] = {0: "batch_size", 1: "total_sequence_length"}
    axes.update({n: {0: "batch_size", 2: "past_sequence_length"} for n in past})
    axes.update({n: {0: "batch_size", 2: "total_sequence_length"} for n in present})
    folder = fresh(out, name)
    trace(Traced(), (ids, mask, positions, *kv), os.path.join(folder, "model.onnx"), names, ["logits", *present], axes, 17)
    for f in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(os.path.join(make_zoo.ROOT, "testdata", "zoo", "llama-fp32", f), folder)
    write(folder, "genai_config.json", explicit_config(heads, head))


def explicit_config(kv_heads, head_size):
    return {
        "model": {
            "type": "llama",
            "bos_token_id": EXPLICIT["bos_token_id"],
            "eos_token_id": EXPLICIT["eos_token_id"],
            "pad_token_id": EXPLICIT["pad_token_id"],
            "vocab_size": EXPLICIT["vocab_size"],
            "context_length": EXPLICIT["max_position_embeddings"],
            "decoder": {
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
                "filename": "model.onnx",
                "head_size": head_size,
                "hidden_size": EXPLICIT["hidden_size"],
                "num_attention_heads": EXPLICIT["num_attention_heads"],
                "num_hidden_layers": EXPLICIT["num_hidden_layers"],
                "num_key_value_heads": kv_heads,
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "position_ids": "position_ids",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
            },
        },
        "search": {"max_length": EXPLICIT["max_position_embeddings"], "past_present_share_buffer": False},
    }


def randomise(model, seed, spread):
    import torch

    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            centre = 1.0 if p.ndim == 1 and not name.endswith("bias") else 0.0
            p.copy_(centre + (0.1 if p.ndim == 1 else spread) * torch.randn_like(p))


def trace(module, arguments, path, inputs, outputs, axes, opset):
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, on branches that these models never take
        torch.onnx.export(module.eval(), arguments, path, input_names=inputs, output_names=outputs, dynamic_axes=axes,
            dynamo=False, opset_version=opset)


def fresh(out, name):
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def write(folder, name, value):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


# --------------------------------------------------------------------------------------------
# Encoders
# --------------------------------------------------------------------------------------------

WORDS = """the a an of in on and is to for with it was a cat dog sits mat house river water light small large blue red
green model reads text writes words vector space near far who what where when why how one two three many first last
love hate good bad warm cold rain falls sun shines night day city street train paris tokyo cafe über""".split()
PIECES = "##s ##ed ##ing ##er ##est ##ly ##ness ##ment ##able ##ful ##less ##tion ##al ##ity".split()
SIGNS = list("!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~") + list("東京猫")
TEXTS = [
    "The cat sits on the mat.",
    "Where is the river? Far from the city, near the train!",
    "",
    "CAFÉ Über naïve 東京 🙂 unhappiness x2",
    "It was a cold night; rain falls on the street and a small dog reads the words of one large model. " * 2,
]
MAX_LENGTH = 40

BERT = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=64)


def vocabulary():
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + list("0123456789")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *SIGNS, *letters, *("##" + c for c in letters)]
    tokens += [w.replace("ü", "u") for w in WORDS] + PIECES  # the normalizer strips accents
    return list(dict.fromkeys(tokens))


def tokenizer(length):
    """A BERT tokenizer that cuts and pads to `length`, as all-MiniLM-L6-v2's file does; the model's own limit is what holds."""
    ids = {token: i for i, token in enumerate(vocabulary())}

    def special(token, kind=0):
        return {"SpecialToken": {"id": token, "type_id": kind}}

    def sequence(which, kind):
        return {"Sequence": {"id": which, "type_id": kind}}

    single = [special("[CLS]"), sequence("A", 0), special("[SEP]")]
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": length, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": length}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
            "pad_token": "[PAD]"},
        "added_tokens": [
            dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
            for t, i in list(ids.items())[:5]
        ],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, sequence("B", 1), special("[SEP]", 1)],
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": ids},
    }


def modules(*types):
    """modules.json: the first is the transformer, in the folder itself."""
    folders = ["", "1_Pooling", "2_Normalize"]
    return [dict(idx=i, name=str(i), path=folders[i], type="sentence_transformers." + t) for i, t in enumerate(types)]


# The two ways these files are written: up to sentence-transformers 5, and since 6.
OLD_FILES = {
    "modules.json": modules("models.Transformer", "models.Pooling", "models.Normalize"),
    "1_Pooling/config.json": {
        "word_embedding_dimension": BERT["hidden_size"],
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    },
    "sentence_bert_config.json": {"max_seq_length": MAX_LENGTH, "do_lower_case": False},
    "config_sentence_transformers.json": {"__version__": {"sentence_transformers": "2.0.0", "transformers": "4.6.1", "pytorch": "1.8.1"}},
}
NEW_FILES = {
    "modules.json": modules("base.modules.transformer.Transformer", "sentence_transformer.modules.pooling.Pooling"),
    "1_Pooling/config.json": {"embedding_dimension": BERT["hidden_size"], "pooling_mode": "cls", "include_prompt": True},
    "sentence_bert_config.json": {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        "module_output_name": "token_embeddings",
    },
    "config_sentence_transformers.json": {
        "__version__": {"pytorch": "2.15.0", "sentence_transformers": "6.2.0", "transformers": "5.23.0"},
        "default_prompt_name": None,
        "model_type": "SentenceTransformer",
        "prompts": {"document": "", "query": ""},
        "similarity_fn_name": "cosine",
    },
}
ENCODERS = {
    "bert-mean": dict(graph="model.onnx", types=True, pooling="mean", normalize=True, files=OLD_FILES, seed=21, model_max_length=64),
    "bert-cls": dict(graph="onnx/model.onnx", types=False, pooling="cls", normalize=False, files=NEW_FILES, seed=22, model_max_length=MAX_LENGTH),
}


def make_encoder(name, out):
    import torch
    from transformers import BertConfig, BertModel

    encoder = ENCODERS[name]
    config = BertConfig(**BERT, vocab_size=len(vocabulary()), attn_implementation="eager", architectures=["BertModel"])
    model = BertModel(config, add_pooling_layer=False)
    randomise(model, encoder["seed"], 0.25)

    class Traced(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids=None):
            answer = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
            return answer.last_hidden_state

    inputs = ["input_ids", "attention_mask"] + ["token_type_ids"] * encoder["types"]
    axes = {n: {0: "batch_size", 1: "sequence_length"} for n in (*inputs, "last_hidden_state")}
    ids = torch.ones(2, 7, dtype=torch.long)
    folder = fresh(out, name)
    path = os.path.join(folder, encoder["graph"])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    trace(Traced(), (ids, ids, 0 * ids)[: len(inputs)], path, inputs, ["last_hidden_state"], axes, 14)

    plain = config.to_dict()
    write(folder, "config.json", {k: v for k, v in plain.items() if v is not None})
    write(folder, "tokenizer.json", tokenizer(16))
    write(folder, "tokenizer_config.json", dict(
        tokenizer_class="BertTokenizer", do_lower_case=True, strip_accents=None, tokenize_chinese_chars=True,
        model_max_length=encoder["model_max_length"], cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        mask_token="[MASK]", unk_token="[UNK]"))
    for file, value in encoder["files"].items():
        write(folder, file, value)


def record_encoder(folder, encoder):
    from tokenizers import Tokenizer

    session = make_session(os.path.join(folder, encoder["graph"]))
    splitter = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    splitter.no_padding()
    splitter.enable_truncation(MAX_LENGTH)
    ids = [splitter.encode(text).ids for text in TEXTS]
    longest = max(map(len, ids))
    batch = embed(session, encoder, [i + [0] * (longest - len(i)) for i in ids], [[1] * len(i) + [0] * (longest - len(i)) for i in ids])
    cases = []
    for text, one, row in zip(TEXTS, ids, batch):
        alone = embed(session, encoder, [one], [[1] * len(one)])[0]
        cases.append(dict(text=text, input_ids=one, embedding=rounded(alone), embedding_in_batch=rounded(row)))
    return {
        "made_by": f"onnxruntime {ort.__version__}, CPU, one thread",
        "max_length": MAX_LENGTH,
        "pooling": encoder["pooling"],
        "normalize": encoder["normalize"],
        "cases": cases,
    }


def embed(session, encoder, ids, mask):
    """What sentence-transformers' `encode` gives: pooled, and normalised where modules.json says so."""
    ids, mask = np.array(ids, np.int64), np.array(mask, np.int64)
    feeds = {"input_ids": ids, "attention_mask": mask}
    if encoder["types"]:
        feeds["token_type_ids"] = np.zeros_like(ids)
    hidden = session.run(["last_hidden_state"], feeds)[0].astype(np.float64)
    if encoder["pooling"] == "cls":
        pooled = hidden[:, 0]
    else:
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    if encoder["normalize"]:
        pooled /= np.linalg.norm(pooled, axis=-1, keepdims=True)
    return pooled


def rounded(values):
    return [round(float(x), 6) for x in values]


def make_session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


# --------------------------------------------------------------------------------------------


def names():
    return [*BUILT, "llama-explicit-fp32", *ENCODERS]


def make(name, out):
    if name in BUILT:
        make_built(name, out)
    elif name in ENCODERS:
        make_encoder(name, out)
    else:
        make_explicit(name, out)


def record(name, folder):
    if name in ENCODERS:
        return record_encoder(folder, ENCODERS[name])
    return make_zoo.record(folder, make_zoo.new_cases(folder, make_zoo.PROMPTS))


def check(name, folder):
    same = record(name, folder) == json.load(open(os.path.join(folder, "expected.json"), encoding="utf-8"))
    print(f"{name}: {'the same' if same else 'DIFFERS'}", flush=True)
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("make", "check"))
    parser.add_argument("out")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    good = True
    for name in args.names or names():
        folder = os.path.join(args.out, name)
        if args.action == "check":
            good &= check(name, folder)
            continue
        make(name, args.out)
        expected = record(name, folder)
        with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
            json.dump(expected, file, ensure_ascii=False)
        print(f"{name}: made and recorded", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
