#!/usr/bin/env python3
"""Records what transformers and tokenizers say, for the tests of crates/text.

    python3 -m venv venv && venv/bin/pip install transformers==5.23.0 tokenizers==0.23.3 jinja2==3.1.6
    venv/bin/python scripts/record_text_reference.py

Writes tests/data/templates.json (what each template makes of each conversation, null where it refuses) and
tests/data/tokenizers.json (ids and texts of the small models' tokenizers). With --templates and --out, the first of
these for any other folder of templates.
"""

import argparse
import datetime
import json
import random
from pathlib import Path

from tokenizers import Tokenizer
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
    "price: $5.00 (50% off!)", "ALL CAPS and CamelCase and snake_case", "\U000f0000\ue000", "'s 'S 'll we'Re",
]


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
    for name in TOKENIZERS:
        source = json.loads((ZOO / name / "tokenizer.json").read_text())
        raw = Tokenizer.from_str(json.dumps(source))
        plain = Tokenizer.from_str(json.dumps({**source, "added_tokens": []}))
        random.seed(name)
        ids = [[random.randrange(raw.get_vocab_size() + 8) for _ in range(n)] for n in (1, 2, 5, 20, 80, 300)]
        record[name] = {
            "texts": [
                {
                    "text": text,
                    "raw": raw.encode(text, add_special_tokens=False).ids,
                    "plain": plain.encode(text, add_special_tokens=False).ids,
                    "back": raw.decode(raw.encode(text, add_special_tokens=False).ids, skip_special_tokens=False),
                }
                for text in TEXTS
            ],
            "ids": [
                {
                    "ids": row,
                    "shown": raw.decode(row, skip_special_tokens=True),
                    "all": raw.decode(row, skip_special_tokens=False),
                }
                for row in ids
            ],
        }
    Path(out).write_text(json.dumps(record, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", help="a folder of *.jinja files")
    parser.add_argument("--out", help="where what they make of the conversations goes")
    args = parser.parse_args()
    if args.templates:
        record_templates(args.templates, args.out)
    else:
        record_templates(DATA / "templates", DATA / "templates.json")
        record_tokenizers(DATA / "tokenizers.json")


if __name__ == "__main__":
    main()
