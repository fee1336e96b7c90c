"""What is known of a version of the model, told in plain words as Markdown and as a page.

The sections follow Mitchell et al., Model Cards for Model Reporting (FAT* 2019,
doi:10.1145/3287560.3287596). A card is what is stored beside the version as `card.json`; each of
its entries may be missing or null, which the text says instead of leaving it out.
"""

import html
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from numbers import Real
from typing import NamedTuple

from helpers.statuses import STATUSES

FEW_CALLS = 10
"""Calls below which a group's score says nothing about the group, so none is shown."""

FEW_CUSTOMERS = 20
"""Customers below which an interval that draws whole customers is too narrow (Cameron 2008)."""

NOT_KNOWN = "not known"
"""What stands in the place of a missing entry."""

LARGEST = 1e15
"""No count or score is as large; what is, and what is not a number, counts as not known."""

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #1c1c1c; background: #fff; overflow-wrap: anywhere }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { padding: .35rem .8rem; border-bottom: 1px solid #ddd; text-align: left;
         vertical-align: top; overflow-wrap: break-word }
thead th { background: #f3f3f3 }
tbody th { font-weight: normal }
@media (prefers-color-scheme: dark) {
  body { color: #e8e8e8; background: #161616 } thead th { background: #262626 }
  td, th { border-color: #3a3a3a } }
"""
"""Style of the page, for light and dark screens."""

PURPOSE = (
    "It hears from the sound of a phone call's end how the customer left, and gives each of the "
    "statuses a probability. It is a help for choosing the calls that a person should hear, and "
    "for coaching.",
    "It is not for judging people: never let it be the sole ground for a decision about an agent "
    "or a customer. It hears the voice and not the words, it is often wrong about a single call, "
    "and it has learned from few voices, some of which may be acted. It has not been validated "
    "for other languages, other telephone lines or other call centres than those of its "
    "training calls.",
)
"""What the model is for and what it is not for."""

REFERENCES = (
    "Sections of this card: Mitchell et al. 2019, Model Cards for Model Reporting, FAT*.",
    "Kappa: Cohen 1968, Weighted Kappa, Psychological Bulletin 70(4).",
    "Calibration error and temperature: Guo et al. 2017, On Calibration of Modern Neural "
    "Networks, ICML.",
    "Intervals with few customers: Cameron, Gelbach and Miller 2008, Bootstrap-Based Improvements "
    "for Inference with Clustered Errors, Review of Economics and Statistics 90(3).",
)
"""Where the figures and the form of the card come from."""


class Table(NamedTuple):
    """A table of texts; every row is as long as the header."""

    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]


Block = str | list[str] | Table


def card_markdown(card: Mapping) -> str:
    """Tell a card as Markdown, with tables as GitHub writes them.

    Args:
        card: content of `card.json`; missing, null and unreadable entries become `NOT_KNOWN`

    Returns:
        the text; the same card gives the same text
    """
    parts = [f"# {_escape_markdown(_title(card))}"]
    for title, blocks in _sections(card):
        parts += [f"## {title}", *map(_block_as_markdown, blocks)]
    return "\n\n".join(parts) + "\n"


def card_page(card: Mapping) -> str:
    """Tell a card as an HTML page that needs nothing beside it; see `card_markdown`."""
    title = html.escape(_title(card))
    body = "".join(
        f"<section><h2>{name}</h2>{''.join(map(_block_as_html, blocks))}</section>\n"
        for name, blocks in _sections(card)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n"
        f"<body><main><h1>{title}</h1>\n{body}</main></body></html>\n"
    )


def _title(card: Mapping) -> str:
    return f"Model card: version {_text(card.get('version'))}"


def _sections(card: Mapping) -> list[tuple[str, list[Block]]]:
    return [
        ("What it is", [_identity(card), *PURPOSE]),
        ("What it learned from", _training(card)),
        ("How good it is", [*_golden(card), *_cross_validation(card)]),
        ("How good it is for each group", _groups(card)),
        ("Its probabilities, and calls left to a person", _calibration(card)),
        ("Why it judges calls, or why it was kept aside", _decision(card)),
        ("Made with", [_pairs(_part(card, "libraries"), ("library", "version"))]),
        ("Files", [_pairs(_part(card, "sha256"), ("file", "SHA-256"))]),
        ("References", [list(REFERENCES)]),
    ]


def _identity(card: Mapping) -> Table:
    parent = "none, it is the first" if card.get("parent") == "" else _text(card.get("parent"))
    facts = {
        "version": _text(card.get("version")),
        "made": _time(card.get("created")),
        "made by": _text(card.get("origin")),
        "made from version": parent,
        "answers it gives": ", ".join(map(_text, _sequence(card, "labels"))) or NOT_KNOWN,
        "how it hears calls": _text(card.get("feature_set")),
        "classifier": _text(card.get("choice")),
    }
    return _pairs(facts, ("what", "value"))


def _training(card: Mapping) -> list[Block]:
    training = _part(card, "training")
    by_status = _part(training, "by_status")
    facts = {
        "calls": _number(training.get("calls"), ".0f"),
        **{f"{label} calls": _number(by_status.get(label), ".0f") for label in _labels(card)},
        "calls that came through feedback": _number(training.get("feedback"), ".0f"),
        "of these, with only their cluster's name": _number(training.get("named"), ".0f"),
        "customers": _number(training.get("customers"), ".0f"),
        "fingerprint of the training data": _text(training.get("hash")),
    }
    blocks: list[Block] = [_pairs(facts, ("what", "value"))]
    if hashes := _sequence(card, "trained_on"):
        blocks.append(f"Which calls: card.json lists {len(hashes)} by their content hash.")
    return blocks


def _golden(card: Mapping) -> list[Block]:
    golden = _part(card, "golden")
    blocks: list[Block] = [
        "UAR is the mean over the statuses of the share of calls judged right; guessing gives "
        f"{1 / len(STATUSES):.2f}. Kappa also counts how far off a verdict is: 1 is full "
        "agreement with people, 0 is guessing. The golden set are calls that are set aside for "
        "good: no version learns from them."
    ]
    if not golden:
        return [*blocks, f"Golden set: {NOT_KNOWN}, the card holds no figures of one."]
    facts = {
        "golden set": _text(golden.get("digest")),
        "calls in it": _number(golden.get("calls"), ".0f"),
        "customers in it": _number(golden.get("customers"), ".0f"),
        "UAR": _uar(golden),
        "kappa (quadratic weights)": _number(golden.get("kappa")),
        "satisfied heard as unsatisfied or the reverse": _percent(golden.get("opposite")),
    }
    return [
        *blocks,
        _pairs(facts, ("on the golden set", "value")),
        _confusion(golden, _labels(card)),
        *_doubts(golden),
    ]


def _confusion(golden: Mapping, labels: Sequence[str]) -> Table:
    recall, confusion = _part(golden, "recall"), _sequence(golden, "confusion")
    lines = {label: line for label, line in zip(labels, confusion, strict=False)}
    rows = []
    for label in labels:
        line = [*_sequence(lines, label), *[None] * len(labels)][: len(labels)]
        counts = [_number(count, ".0f") for count in line]
        right = "no calls" if set(counts) == {"0"} else _percent(recall.get(label))
        rows.append([_text(label), *counts, right])
    return Table(
        ("how they left", *[f"heard as {_text(label)}" for label in labels], "heard right"), rows
    )


def _doubts(golden: Mapping) -> list[str]:
    doubts = []
    low, customers = golden.get("uar_low"), golden.get("customers")
    if _is_number(low) and low <= 1 / len(STATUSES):
        doubts.append(
            "The interval reaches down to guessing: these calls do not show that the model hears "
            "how customers leave."
        )
    if _is_number(customers) and customers < FEW_CUSTOMERS:
        doubts.append(
            f"The interval rests on {_number(customers, '.0f')} customers. With fewer than "
            f"{FEW_CUSTOMERS} the doubt is larger than it says."
        )
    return doubts


def _cross_validation(card: Mapping) -> list[Block]:
    scores = _part(card, "cross_validation")
    if not scores:
        return [f"Cross-validation: {NOT_KNOWN}, the card holds no figures of one."]
    facts = {"UAR": _uar(scores), "calls judged right": _percent(scores.get("accuracy"))}
    return [
        "Cross-validation on the training calls: each call is judged by a model that has learned "
        "from no call of its customer. The kind of classifier was chosen on all of them, which "
        "makes these figures a little too good; the golden set's are not.",
        _pairs(facts, ("in the cross-validation", "value")),
    ]


def _groups(card: Mapping) -> list[Block]:
    groups = [group for group in _sequence(card, "groups") if isinstance(group, Mapping)]
    if not groups:
        return [
            f"Figures by group: {NOT_KNOWN}. Whether it hears every agent, men and women, or every "
            "line equally well cannot be told from this card."
        ]
    return [
        "Share of the golden calls that are judged right, before by the version it was compared "
        f"with and after by this one. Below {FEW_CALLS} calls a share would say nothing about the "
        "group, so none is given.",
        Table(("group", "name", "calls", "before", "after"), list(map(_group, groups))),
    ]


def _group(group: Mapping) -> list[str]:
    calls = group.get("calls")
    names = [_text(group.get("group")), _text(group.get("name")), _number(calls, ".0f")]
    if _is_number(calls) and calls < FEW_CALLS:
        return [*names, "too few to judge", "too few to judge"]
    before = group.get("before")
    return [
        *names,
        "not compared" if before is None else _percent(before),
        _percent(group.get("after")),
    ]


def _calibration(card: Mapping) -> list[Block]:
    golden, scores = _part(card, "golden"), _part(card, "cross_validation")
    facts = {
        "temperature": _number(card.get("temperature")),
        "calibration error, cross-validation, before": _points(
            scores.get("calibration_error_before")
        ),
        "calibration error, cross-validation, after": _points(scores.get("calibration_error")),
        "calibration error, golden set, before": _points(golden.get("calibration_error_before")),
        "calibration error, golden set, after": _points(golden.get("calibration_error")),
        "share of calls it judges alone": _percent(scores.get("coverage")),
        "judged right among these": _percent(scores.get("confident_accuracy")),
    }
    return [
        "A probability of 0.8 should be right in 8 calls of 10. The calibration error is how far "
        "stated and true shares lie apart on average. The temperature brings them together: above "
        "1 it makes the model less sure of itself, below 1 surer.",
        _pairs(facts, ("what", "value")),
        "The calls it is least sure of are marked: a person should hear them.",
    ]


def _decision(card: Mapping) -> list[Block]:
    decision = _part(card, "decision")
    promoted, against = decision.get("promoted"), decision.get("against")
    if promoted is True:
        verdict = "Promoted: it judged calls from the time it was made."
    elif promoted is False:
        verdict = "Kept aside: it did not become the model that judges calls."
    else:
        verdict = f"Whether it was promoted or kept aside is {NOT_KNOWN}."
    compared = "no other version" if against == "" else _text(against)
    reasons = [_text(reason) for reason in _sequence(decision, "reasons")]
    return [
        f"{verdict} Which version judges now is in the list of versions: a later one or a "
        "rollback may have replaced it.",
        f"Compared with: {compared}.",
        ["Reason: " + reason for reason in reasons] or f"Reasons: {NOT_KNOWN}.",
    ]


def _pairs(facts: Mapping, header: tuple[str, str]) -> Block:
    rows = [[_text(name), _text(value)] for name, value in facts.items()]
    return Table(header, rows) if rows else NOT_KNOWN.capitalize() + "."


def _part(card: Mapping, name: str) -> Mapping:
    part = card.get(name)
    return part if isinstance(part, Mapping) else {}


def _sequence(card: Mapping, name: str) -> Sequence:
    values = card.get(name)
    return values if isinstance(values, list | tuple) else []


def _labels(card: Mapping) -> Sequence[str]:
    labels = [label for label in _sequence(card, "labels") if isinstance(label, str)]
    return labels or STATUSES


def _is_number(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and abs(value) < LARGEST


def _number(value, form: str = ".2f") -> str:
    return format(value, form) if _is_number(value) else NOT_KNOWN


def _percent(value, unit: str = "%") -> str:
    return f"{100 * value:.0f} {unit}" if _is_number(value) else NOT_KNOWN


def _points(value) -> str:
    return _percent(value, "percentage points")


def _uar(scores: Mapping) -> str:
    low, high = (_number(scores.get(name)) for name in ("uar_low", "uar_high"))
    interval = NOT_KNOWN if NOT_KNOWN in (low, high) else f"{low} to {high}"
    return f"{_number(scores.get('uar'))} (95 % interval: {interval})"


def _time(value) -> str:
    try:
        time = datetime.fromisoformat(value)
        return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if time.tzinfo else _text(value)
    except (TypeError, ValueError, OverflowError):
        return _text(value)


def _text(value) -> str:
    if isinstance(value, str) or _is_number(value):
        return " ".join(str(value).split()) or NOT_KNOWN
    return NOT_KNOWN


def _escape_markdown(text: str) -> str:
    marks = r"([\\`*#\[\]|~]|(?<![^\W_])_|_(?![^\W_]))"
    return re.sub(marks, r"\\\1", html.escape(text, quote=False))


def _block_as_markdown(block: Block) -> str:
    if isinstance(block, str):
        return _escape_markdown(block)
    if isinstance(block, list):
        return "\n".join(f"- {_escape_markdown(line)}" for line in block)
    lines = [block.header, ["---"] * len(block.header), *block.rows]
    return "\n".join(f"| {' | '.join(map(_escape_markdown, line))} |" for line in lines)


def _block_as_html(block: Block) -> str:
    if isinstance(block, str):
        return f"<p>{html.escape(block)}</p>"
    if isinstance(block, list):
        return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in block)}</ul>"
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in block.header)
    rows = "".join(f"<tr>{_row_as_html(row)}</tr>" for row in block.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row_as_html(row: Sequence[str]) -> str:
    first, *rest = map(html.escape, row)
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest)
