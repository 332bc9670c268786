#!/usr/bin/env python3
"""Records what transformers and tokenizers say, for the tests of crates/text.

    python3 -m venv venv && venv/bin/pip install transformers==5.23.0 tokenizers==0.23.3 jinja2==3.1.6
    venv/bin/python scripts/record_text_reference.py

Writes tests/data/templates.json (what each template makes of each conversation, null where it refuses) and
tests/data/tokenizers.json (ids and texts of the small models' tokenizers, and of those in tests/data/tokenizers, which
--make trains first). With --templates and --out, the first of these for any other folder of templates.
"""

import argparse
import datetime
import json
import random
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.utils.chat_template_utils import _compile_jinja_template

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "crates/text/tests/data"
ZOO = ROOT / "testdata/zoo"
NOW = datetime.datetime(2026, 3, 9, 7, 5, 3)
TOKENIZERS = ["phi4mini-int4", "llama-fp32", "mistral-int4-b64", "qwen2-mixed", "qwen3-int8"]
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}

TEXTS = [
    "", " ", "Hello", "Hello, world! It's 3.14159 o'clock.", "  two  spaces\n\n\n and lines\r\n\ttab ",
    "Grüße aus Köln, 世界 и мир", "👩‍👩‍👧‍👦 🇩🇪 🤷🏽‍♀️", "e\u0301 ﷽ עברית العربية", "\x00\x01\x7f\u2028\ufeff\uffff",
    "def f(x):\n    return x**2  # comment\n", "a" * 300, "<|end|>", "<|end|><|user|>x<|assistant|>", "</s> [INST] hi [/INST]",
    " <|im_end|> <|im_start|>", "<tool_call>\n{}\n</tool_call>", "<|eot_id|><|start_header_id|>", "<|end|", "|end|>", "<<|end|>>",
    "a Zword, Zwords, sZword Zword", "A <tool> here<tool>", " <|user|>  x  <|end|>  y", "[TOOL]x[TOOL]", "<s>a</s> b", "<unk>",
    "price: $5.00 (50% off!)", "ALL CAPS and CamelCase and snake_case", "\U000f0000\ue000", "'s 'S 'll we'Re",
]


# Kinds of tokenizers that the small models do not have, by what is particular to them.
METASPACE = "\u2581"
CONTROL = [
    AddedToken("<unk>", special=True, normalized=False),
    AddedToken("<s>", special=True, normalized=False),
    AddedToken("</s>", special=True, normalized=False),
    AddedToken("<|user|>", special=True, normalized=False, rstrip=True),
    AddedToken("<|end|>", special=True, normalized=False, lstrip=True, rstrip=True),
    AddedToken("<tool>", special=False, normalized=True),
    AddedToken("[TOOL]", special=False, normalized=False),
    AddedToken("Zword", special=False, normalized=True, single_word=True),
]


def train(tokenizer, trainer):
    lines = (ROOT / "testdata/smollm2/eval.txt").read_text().splitlines() + TEXTS * 3
    tokenizer.train_from_iterator([line for line in lines if "<" not in line], trainer)
    tokenizer.add_special_tokens([t for t in CONTROL if t.special])
    tokenizer.add_tokens([t for t in CONTROL if not t.special])
    return tokenizer


def byte_fallback_bpe():
    """Llama 2, Mistral and Phi-3: a normaliser puts spaces in front, bytes for unknown characters."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(METASPACE), normalizers.Replace(" ", METASPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(METASPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<unk>", "<s>", "</s>", *alphabet], max_token_length=12, show_progress=False
    )
    made = train(tokenizer, trainer)
    # The trainer makes the bytes special; in the models they are plain entries of the vocabulary.
    source = json.loads(made.to_str())
    source["added_tokens"] = [t for t in source["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(source))


def metaspace_unigram():
    """T5, and the newer form of SentencePiece models: a pre-tokenizer puts a space in front of the first word."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.UnigramTrainer(
        vocab_size=500, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
    )
    return train(tokenizer, trainer)


def wordpiece():
    """BERT: lower case, and a decoder that puts spaces between words."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    return train(tokenizer, trainer)


def make_tokenizers():
    for make in (byte_fallback_bpe, metaspace_unigram, wordpiece):
        folder = DATA / "tokenizers" / make.__name__.replace("_", "-")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(make().to_str() + "\n")


def rendered(template, conversation, tools):
    compiled = _compile_jinja_template(template)
    compiled.environment.globals["strftime_now"] = NOW.strftime
    compiled.globals["strftime_now"] = NOW.strftime
    variables = {**SPECIAL, **conversation.get("extra", {})}
    result = {}
    for prompt in (False, True):
        try:
            text = compiled.render(
                messages=conversation["messages"],
                tools=tools if conversation.get("tools") else None,
                documents=None,
                add_generation_prompt=prompt,
                **variables,
            )
        except Exception:  # whatever the reason: the template does not take this conversation
            text = None
        result["with prompt" if prompt else "without"] = text
    # Most differ in their last line alone.
    if None not in result.values() and result["with prompt"].startswith(result["without"]):
        result["with prompt"] = {"more": result["with prompt"][len(result["without"]) :]}
    return result


def record_templates(folder, out):
    data = json.loads((DATA / "conversations.json").read_text())
    record = {}
    for path in sorted(Path(folder).glob("*.jinja")):
        source = path.read_text()
        record[path.stem] = {c["name"]: rendered(source, c, data["tools"]) for c in data["conversations"]}
    Path(out).write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n")


def record_tokenizers(out):
    record = {}
    folders = [ZOO / name for name in TOKENIZERS] + sorted((DATA / "tokenizers").iterdir())
    for folder in folders:
        name = folder.name
        source = json.loads((folder / "tokenizer.json").read_text())
        raw = Tokenizer.from_str(json.dumps(source))
        plain = Tokenizer.from_str(json.dumps({**source, "added_tokens": []}))
        random.seed(name)
        # Bytes that make no character are counted differently here and there, so there are none.
        usable = [i for i in range(raw.get_vocab_size() + 8) if not (raw.id_to_token(i) or "").startswith("<0x")]
        rows = [random.choices(usable, k=n) for n in (1, 2, 5, 20, 80, 300)]
        rows += [raw.encode(text, add_special_tokens=False).ids for text in TEXTS]

        def texts(text):
            ids = {kind: one.encode(text, add_special_tokens=False).ids for kind, one in (("raw", raw), ("plain", plain))}
            back = raw.decode(ids["plain"], skip_special_tokens=False)
            return {"text": text, **ids, **({} if back == text else {"back": back})}

        def decoded(row):
            shown, all_ = (raw.decode(row, skip_special_tokens=skip) for skip in (True, False))
            return {"ids": row, "all": all_, **({} if shown == all_ else {"shown": shown})}

        record[name] = {"texts": [texts(text) for text in TEXTS], "ids": [decoded(row) for row in rows]}
    Path(out).write_text(json.dumps(record, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", help="a folder of *.jinja files")
    parser.add_argument("--out", help="where what they make of the conversations goes")
    parser.add_argument("--make", action="store_true", help="train the tokenizers in tests/data/tokenizers anew")
    args = parser.parse_args()
    if args.make:
        make_tokenizers()
    if args.templates:
        record_templates(args.templates, args.out)
    else:
        record_templates(DATA / "templates", DATA / "templates.json")
        record_tokenizers(DATA / "tokenizers.json")


if __name__ == "__main__":
    main()
