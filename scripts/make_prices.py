#!/usr/bin/env python3
"""Makes the price list that inhouse ships, and the usages it is checked against.

    pip install --target /tmp/genai-prices genai-prices
    PYTHONPATH=/tmp/genai-prices python3 scripts/make_prices.py

writes crates/ledger/prices.json (a reduction of the package's data: who can be routed to, and what a chat is charged for)
and testdata/prices/usages.json (200 usages with the price that the package computes). Both name the package's version.
Running it again with the same version writes the same bytes.
"""

import json
import random
import re
import sys
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import distribution
from pathlib import Path
from re import _parser as regex_parser

import genai_prices
from genai_prices import types
from genai_prices.data import providers as PROVIDERS

ROOT = Path(__file__).resolve().parent.parent
VERSION = distribution("genai-prices").version

KEPT = [
    "anthropic", "openai", "openrouter", "google", "azure", "aws", "groq", "mistral", "deepseek", "x-ai", "together",
    "fireworks", "perplexity", "cohere", "cerebras", "moonshotai", "zai",
]  # fmt: skip

# What `Usage` tells apart, by the package's names.
CLASSES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "output_reasoning_mtok": "reasoning",
    "requests_kcount": "thousand_requests",
}
# Charged apart from the tokens of a chat, or not told apart by any usage: left out, the rest of the entry stands.
ASIDE = {"web_searches_kcount", "storage_searches_kcount", "cache_audio_read_mtok"}


def number(value):
    """A decimal without an exponent and without zeros at its end."""
    return f"{value.normalize():f}"


# === Rules ===


def expand(parsed):
    """The patterns ('#' is a digit) that a regular expression of literals, digits, sets and options stands for."""
    patterns = [""]
    for op, value in parsed:
        match str(op):
            case "LITERAL":
                pieces = [chr(value)]
            case "AT":
                continue
            case "IN" if value == [(regex_parser.CATEGORY, regex_parser.CATEGORY_DIGIT)]:
                pieces = ["#"]
            case "IN":
                pieces = [chr(literal) for kind, literal in value if str(kind) == "LITERAL"]
                assert len(pieces) == len(value), value
            case "SUBPATTERN":
                pieces = expand(value[3])
            case "MAX_REPEAT":
                low, high, what = value
                once = expand(what)
                assert (low, high) == (0, 1) or (low == high and len(once) == 1), value
                pieces = ["", *once] if low == 0 else [once[0] * low]
            case _:
                raise ValueError(f"no pattern for {op} {value}")
        patterns = [pattern + piece for pattern in patterns for piece in pieces]
    return patterns


def rule_of_regex(regex):
    if regex == "^(?!.*-[tT][tT][sS](?:$|-))":
        return {"not": {"any": [{"ends": "-tts"}, {"contains": "-tts-"}]}}
    assert regex.startswith("^"), regex
    tail = "" if regex.endswith("$") else "*"
    patterns = [{"like": (pattern + tail).lower()} for pattern in expand(regex_parser.parse(regex))]
    return patterns[0] if len(patterns) == 1 else {"any": patterns}


def rule(clause):
    match clause:
        case types.ClauseEquals():
            return {"is": clause.equals.lower()}
        case types.ClauseStartsWith():
            return {"starts": clause.starts_with.lower()}
        case types.ClauseEndsWith():
            return {"ends": clause.ends_with.lower()}
        case types.ClauseContains():
            return {"contains": clause.contains.lower()}
        case types.ClauseRegex():
            return rule_of_regex(clause.regex)
        case types.ClauseOr():
            return {"any": [rule(part) for part in clause.or_]}
        case types.ClauseAnd():
            return {"all": [rule(part) for part in clause.and_]}
    raise ValueError(clause)


# === Prices ===


def amount(price):
    if isinstance(price, types.TieredPrices):
        above = [[tier.start, number(tier.price)] for tier in price.tiers]
        return {"base": number(price.base), "above": above}
    return number(price)


def listed(price):
    return {key: value for key, value in vars(price).items() if value is not None}


def foreign(prices):
    """A class that is charged otherwise than text and that usages do not tell apart, if there is one."""
    for key, value in prices.items():
        if key in CLASSES or key in ASIDE or value == prices.get(f"{key.split('_')[0]}_mtok"):
            continue
        return key
    return None


def entry(conditional):
    prices = listed(conditional.prices)
    made = {}
    match conditional.constraint:
        case types.StartDateConstraint(start_date=day):
            made["from"] = day.isoformat()
        case types.TimeOfDateConstraint(start_time=start, end_time=end):
            assert start.utcoffset().total_seconds() == end.utcoffset().total_seconds() == 0
            made["between"] = [start.strftime("%H:%M"), end.strftime("%H:%M")]
    for key, name in CLASSES.items():
        if key in prices:
            made[name] = amount(prices[key])
    return made


def conditions(model):
    return [types.ConditionalPrice(prices=model.prices)] if isinstance(model.prices, types.ModelPrice) else model.prices


def reduced(provider, model, dropped):
    made = {"id": model.id, "match": rule(model.match)}
    if model.context_window:
        made["context"] = model.context_window
    odd = {foreign(listed(conditional.prices)) for conditional in conditions(model)} - {None}
    # An entry without prices stays: its rule must go on catching its names, whose price is then unknown.
    if odd:
        dropped.update(odd)
    else:
        made["prices"] = [entry(conditional) for conditional in conditions(model)]
    # The package lists nothing for these; the suffix is how OpenRouter says that it charges nothing.
    if provider.id == "openrouter" and model.id.endswith(":free") and made.get("prices") in ([{}], []):
        made["prices"] = [{"input": "0", "output": "0"}]
    return made


def kept_providers():
    return [p for p in PROVIDERS if p.id in KEPT or p.id.startswith("huggingface_")]


def price_list(dropped):
    made = []
    for provider in kept_providers():
        one = {"id": provider.id}
        if provider.fallback_model_providers:
            one["fallback"] = provider.fallback_model_providers
        one["models"] = [reduced(provider, model, dropped) for model in provider.models]
        made.append(one)
    source = {
        "package": "genai-prices",
        "version": VERSION,
        "licence": "MIT",
        "copyright": "Copyright (c) Pydantic Services Inc. 2025 to present",
    }
    return {"source": source, "providers": made}


# === Usages ===


def names(clause):
    match clause:
        case types.ClauseEquals():
            return [clause.equals]
        case types.ClauseStartsWith():
            return [clause.starts_with, clause.starts_with + "-x"]
        case types.ClauseRegex() if clause.regex.startswith("^") and "(?" not in clause.regex:
            return [p.replace("#" * 8, "20260401").replace("####-##-##", "2026-04-01").replace("#", "7")
                    for p in expand(regex_parser.parse(clause.regex))]  # fmt: skip
        case types.ClauseOr():
            return [name for part in clause.or_ for name in names(part)]
    return []


def draw_usage(random, model):
    prompt = random.choice([90, 2_000, 30_000, 150_000, 199_999, 200_000, 200_001, 272_001, 600_000])
    parts = [random.random() if random.random() < 0.5 else 0 for _ in range(4)]
    parts[0] += 0.05
    shares = [int(prompt * part / sum(parts)) for part in parts]
    usage = {
        "input": prompt - sum(shares[1:]),
        "output": random.choice([0, 1, 333, 4_096, 32_000]),
        "cache_read": shares[1],
        "cache_write_5m": shares[2],
        "cache_write_1h": shares[3],
        "reasoning": 0,
        "input_audio": 0,
        "output_audio": 0,
    }
    keys = {key for conditional in conditions(model) for key in listed(conditional.prices)}
    if "input_audio_mtok" in keys:
        usage["input_audio"] = usage["input"] // 3
    if "output_audio_mtok" in keys:
        usage["output_audio"] = usage["output"] // 2
    if random.random() < 0.3:
        usage["reasoning"] = (usage["output"] - usage["output_audio"]) // 2
    return usage


def theirs(usage):
    """The package counts what is inside of something else twice; inhouse counts it once."""
    written = usage["cache_write_5m"] + usage["cache_write_1h"]
    return genai_prices.Usage(
        input_tokens=usage["input"] + usage["cache_read"] + written,
        output_tokens=usage["output"],
        cache_read_tokens=usage["cache_read"],
        cache_write_tokens=written,
        cache_write_1h_tokens=usage["cache_write_1h"],
        output_reasoning_tokens=usage["reasoning"],
        input_audio_tokens=usage["input_audio"],
        output_audio_tokens=usage["output_audio"],
        cache_audio_read_tokens=0,
    )


def interesting(model):
    every = [listed(conditional.prices) for conditional in conditions(model)]
    return sum([
        3 * any(isinstance(price, types.TieredPrices) for prices in every for price in prices.values()),
        3 * (len(every) > 1),
        3 * any("audio" in key or "requests" in key or "reasoning" in key for prices in every for key in prices),
        any("cache_write_mtok" in prices for prices in every),
        1,
    ])  # fmt: skip


def draw(random, count):
    pool = [(p, m) for p in kept_providers() for m in p.models]
    weights = [interesting(m) / (len(p.models) ** 0.5) for p, m in pool]
    rows = []
    while len(rows) < count:
        provider, model = random.choices(pool, weights)[0]
        name = random.choice([model.id, *names(model.match)])
        usage = draw_usage(random, model)
        at = datetime(2025, 11, 1, tzinfo=UTC).timestamp() + random.randrange(400 * 86_400)
        when = datetime.fromtimestamp(at, UTC)
        try:
            price = genai_prices.calc_price(theirs(usage), name, provider_id=provider.id, genai_request_timestamp=when)
        except (LookupError, ValueError) as error:
            print(f"no price for {provider.id} {name}: {error}", file=sys.stderr)
            continue
        stated = {"provider": provider.id, "model": name, "at": when.strftime("%Y-%m-%dT%H:%M:%SZ"), **usage}
        rows.append({**stated, "matched": price.model.id, "price": number(price.total_price) if price.total_price else "0"})
    return rows


def write(path, value, line_of):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line_of(value))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


def lines_of_list(prices):
    """One model a line, so that a new version shows what changed."""
    dense = lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)  # noqa: E731
    out = ['{"source":' + dense(prices["source"]) + ',"providers":[']
    for number, provider in enumerate(prices["providers"]):
        head = {key: value for key, value in provider.items() if key != "models"}
        out.append(dense(head)[:-1] + ',"models":[')
        out.append(",\n".join(dense(model) for model in provider["models"]))
        out.append("]}" + ("," if number + 1 < len(prices["providers"]) else ""))
    return "\n".join([*out, "]}", ""])


def lines_of_usages(rows):
    source = f"genai-prices {VERSION} (MIT, Copyright (c) Pydantic Services Inc.), computed by scripts/make_prices.py"
    body = ",\n".join(json.dumps(row) for row in rows)
    return f'{{"source": {json.dumps(source)},\n"usages": [\n{body}\n]}}\n'


def main():
    dropped = Counter()
    write(ROOT / "crates/ledger/prices.json", price_list(dropped), lines_of_list)
    print("without a price, because usages do not tell apart:", dict(dropped))
    write(ROOT / "testdata/prices/usages.json", draw(random.Random(20), 200), lines_of_usages)


if __name__ == "__main__":
    main()
