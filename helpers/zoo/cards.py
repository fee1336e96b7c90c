"""What is known of a stored model of the zoo, in plain words."""

from collections.abc import Mapping

from jinja2 import Environment, StrictUndefined

_TEMPLATE = """\
# {{ choice }} on {{ feature_set }}, version {{ version }}

{{ zoo.what }}

**When to pick it.** {{ zoo.pick }}

## What it learned from

{{ training.recordings }} recordings of {{ training.speakers }} speakers
{%- if training.corpora %} ({{ training.corpora | join(", ") }}){% endif %}, line: {{ zoo.line }}.

| emotion | recordings |
|---|---|
{% for emotion, count in training.emotions.items() -%}
| {{ emotion }} | {{ count }} |
{% endfor %}
## How well it hears

{% if scores -%}
On speakers it has not heard: UAR {{ "%.2f" | format(scores.uar) }}
({{ "%.2f" | format(scores.low) }} to {{ "%.2f" | format(scores.high) }});
guessing gives {{ "%.2f" | format(1 / labels | length) }}.
{%- if scores.features_tried is defined and scores.features_tried > 1 %}
Its features were the best of {{ scores.features_tried }} on these very speakers, which flatters.
{%- endif %}
{%- if scores.random_uar is defined %}
Recordings drawn at random, which leaks, would give {{ "%.2f" | format(scores.random_uar) }}.
{%- endif %}
{%- if scores.upset_uar is defined %}
Upset or not: {{ "%.2f" | format(scores.upset_uar) }}.
{%- endif %}
{%- else -%}
It was not scored. Compare models before you rely on one.
{%- endif %}

It learned from acted speech: published models that move from one corpus to another get 25 to 50 %
of the emotions right. It is no ground for a decision about a person.
"""


def card_text(card: Mapping) -> str:
    """Tell the card of a version of the zoo as Markdown.

    Args:
        card: content of its `card.json`; where it has scores, `uar`, `low` and `high` are among
            them
    """
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_TEMPLATE).render(card)
