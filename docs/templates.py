"""Write docs/templates.md and its pictures: run `python docs/templates.py`."""

from pathlib import Path

from mlmarket.expressions import Expression
from mlmarket.orchestration.graph import journey_svg
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.lint.reading import (
    TOKEN,
    condition_read,
    conditions_of,
    events_of,
    segments_of,
    texts_of,
)
from mlmarket.orchestration.templates import (
    DOCUMENTED,
    documented_schema,
    load_template,
    template_playbook,
    templates,
)

HERE = Path(__file__).parent
HEAD = """# Templates

Ten journeys to begin with. Take one, change its words, and look at it before anybody is written to:

```console
$ mlmarket journey templates                       # what there is
$ mlmarket journey templates welcome win_back      # writes them with their segments and a policy
$ mlmarket journey lint
$ mlmarket journey preview welcome                 # ten real people going through
$ mlmarket journey approve welcome
```

A file that is already there is left as it is. [journeys.md](journeys.md) explains every key. Each template is checked by the
linter against the columns below; change the names of events (`add_to_cart`, `pricing_view`, `log_in`, …) to those of your own
table of events. `template` is what your mailer calls the text: mlmarket writes no texts.

In Python: `templates()`, `load_template("welcome")`, `template_playbook()` and `write_templates(folder, names)` in
`mlmarket.orchestration.templates`.

"""
WORDS = {
    "browse_abandonment": "Three looks at items within two days and nothing in the cart: remind on the channel that is open, "
    "then once more with what fits.",
    "cart_abandonment": "Waits four hours for the order, reminds on the first open channel, and gives an incentive only to those "
    "who are unlikely to buy without one, and only where it is worth its cost.",
    "lead_magnet_nurture": "Six e-mails after a download. Whoever has become a qualified lead by then goes to sales and into the "
    "programme below.",
    "mql_programme": "Three tracks by what people opened in the last 14 days: the fast ones get prices and a call, the medium ones "
    "a case and a webinar, the silent ones one more try. Only for leads whose score is high and fresh.",
    "post_purchase": "Thanks, a request for a review after seven days, something that fits after fourteen, and a reminder three days "
    "before it runs out.",
    "pricing_page": "Three looks at the prices within a week: somebody is told and gets a task; after two days without a question "
    "comes an e-mail.",
    "sunset": "Half a year without an open: ask, wait, ask once more, then stop writing and leave the audience.",
    "trial_onboarding": "By milestones: the first log-in within two days, three log-ins within five, with a sales call for those who "
    "use it and help for those who do not.",
    "welcome": "Hello, then what fits for those who opened it and another channel for those who did not, then the first order.",
    "win_back": "Ninety days after the last order: a personal call for valuable customers at high risk, a lot between a discount "
    "and news for the others at risk, and new arrivals for the rest.",
}


def columns_used(journey: Journey) -> set[str]:
    """Return the columns of the predictions that a journey, its segments or its texts name."""
    known = documented_schema()
    used: set[str] = set()
    for condition in conditions_of(journey):
        read = condition_read(condition, known)
        if isinstance(read, Expression):
            used |= read.columns | {call.subject for call in read.calls}
    for told in texts_of(journey):
        used |= {found[1] for found in TOKEN.finditer(told.text)}
    segments = {name for _, name in segments_of(journey)}
    for segment in template_playbook().segments:
        if segment.name in segments:
            used |= {one.name for one in DOCUMENTED if one.name in segment.columns_named}
    for message in journey.messages:
        if message.worth is not None:
            used |= {message.worth.probability, str(message.worth.value)}
    return used & {one.name for one in DOCUMENTED}


def section(name: str) -> str:
    """Return what the page says of one template."""
    journey = load_template(name)
    owners: dict[str, list[str]] = {}
    for column in DOCUMENTED:
        if column.name in columns_used(journey):
            owners.setdefault(column.owner, []).append(f"`{column.name}`")
    needs = "; ".join(f"{', '.join(names)} ({owner})" for owner, names in owners.items())
    events = sorted({event for _, event in events_of(journey)})
    lines = [
        f"## {name}: {journey.title}",
        "",
        WORDS[name],
        "",
        f"- **Events**: {', '.join(f'`{event}`' for event in events)}",
        f"- **Predictions**: {needs or 'none'}",
        f"- **Priority** {journey.priority} · **topic** {journey.topic} · "
        f"**holdout** {journey.holdout * 100:g} %",
        "",
        f"![{journey.title}](pictures/{name}.svg)",
        "",
        "<details><summary>In sentences</summary>",
        "",
        "```text",
        *journey.describe(),
        "```",
        "",
        "</details>",
        "",
    ]
    return "\n".join(lines)


def columns() -> str:
    """Return the table of all columns."""
    rows = [f"| `{c.name}` | {c.type.value} | {c.owner} | {c.meaning} |" for c in DOCUMENTED]
    words = (
        "## Columns of the predictions\n\n"
        "`lead` and `sendtime` are documented here and not yet part of mlmarket: until something writes their columns, they are "
        "unknown, and what is unknown permits nothing. A message `at the best time` then goes out as soon as it may.\n\n"
    )
    head = "| column | type | predictor | meaning |\n|---|---|---|---|\n"
    return words + head + "\n".join(rows) + "\n"


def page() -> str:
    """Return the whole page."""
    return HEAD + "\n".join([*map(section, templates()), columns()])


if __name__ == "__main__":
    pictures = HERE / "pictures"
    pictures.mkdir(exist_ok=True)
    for name in templates():
        (pictures / f"{name}.svg").write_text(journey_svg(load_template(name)), encoding="utf-8")
    (HERE / "templates.md").write_text(page(), encoding="utf-8")
