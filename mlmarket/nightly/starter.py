"""How does somebody begin who has only an export of orders?"""

import os
from pathlib import Path
from typing import Final

from mlmarket.errors import ConfigurationError
from mlmarket.market.time import time_zone
from mlmarket.nightly.guess import Guess, guess_columns, guess_file
from mlmarket.nightly.safe_files import writing

__all__ = ["guess_columns", "write_starter"]


def write_starter(folder: Path, orders: Path | None, *, timezone: str = "UTC") -> list[Path]:
    """Write a commented ``mlmarket.toml``, segments and one journey.

    Parameters
    ----------
    folder : Path
        Where; files that exist are not touched.
    orders : Path or None
        An export of orders in CSV, whose columns are guessed.
    timezone : str, default "UTC"
        Of the business.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ConfigurationError
        Where there is a configuration already, there is no such time zone, or the export cannot be
        found.
    """
    target = folder / "mlmarket.toml"
    if target.exists():
        raise ConfigurationError(
            f"There is an mlmarket.toml in '{folder}' already.",
            "It may hold work that nobody wants to lose.",
            "move it away, or edit it.",
        )
    time_zone(timezone)
    guess, source = Guess({}), "orders.parquet"
    if orders is not None:
        guess, source = guess_file(orders), _source(orders, folder)
    texts = {
        target: _configuration(source, guess, timezone),
        folder / "segments.yaml": SEGMENTS,
        folder / "journeys" / "win_back.yaml": JOURNEY,
    }
    absent = {path: text for path, text in texts.items() if not path.exists()}
    with writing(folder):
        for path, text in absent.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return list(absent)


def _source(orders: Path, folder: Path) -> str:
    """Return the path as the configuration reads it: relative to itself, where that is shorter."""
    inside = os.path.relpath(orders.absolute(), folder.absolute())
    return inside if not inside.startswith("..") else str(orders.absolute())


def _configuration(source: str, guess: Guess, timezone: str) -> str:
    lines = [f"{name} = {_toml(text)}" for name, text in guess.columns.items()]
    lines += [f'# {name} = "…"   # needed, and not found' for name in guess.missing]
    if not lines:
        lines = ['# contact_id = "customer"   # contract = "expression over your columns"']
    if guess.unused:
        # A name with a line break would end the comment.
        lines.append(f"# not used: {' '.join(', '.join(guess.unused).split())}")
    return CONFIGURATION.format(
        timezone=timezone,
        source=_toml(source),
        options="\n".join(_options(guess)),
        columns="\n".join(lines),
    )


def _options(guess: Guess) -> list[str]:
    """Return what else the file showed of itself."""
    where, returns = _toml(guess.where), _toml(guess.returns)
    options = [
        f"where = {where}     # rows left out are counted in the report"
        if guess.where
        else '# where = "customer is not null"       # rows left out are counted in the report',
        f"returns = {returns}     # negative lines were seen"
        if guess.returns
        else '# returns = "amount < 0"               # which lines are returns',
    ]
    if guess.time_formats:
        first, *others = guess.time_formats
        also = f"     # {', '.join(others)} would fit as well: look which it is" if others else ""
        options.append(f"time_format = {_toml(first)}{also}")
    if guess.encoding != "utf-8":
        options.append(f"encoding = {_toml(guess.encoding)}")
    return options


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


CONFIGURATION: Final = """\
# What mlmarket knows about the business. Every key is explained in docs/cli.md; secrets are written
# as ${{NAME}} and read from the environment.

[business]
timezone = "{timezone}"       # where days begin: a night is scored as of midnight there
currency = "EUR"              # ISO 4217; every amount is in it

[tables.orders]
source = {source}
timezone = "{timezone}"       # of times that carry none
{options}

[tables.orders.columns]
{columns}

# Further tables bring further answers; `mlmarket check` says which.
# [tables.contacts]
# source = "contacts.csv"
# [tables.messages]
# source = "messages/*.parquet"
# [tables.consents]                    # without it nobody is ever messaged
# source = "consents.csv"

[predict.purchase]
horizon = "30D"

[predict.churn]
horizon = "90D"

[predict.value]                        # a year ahead needs two years of orders
horizon = "90D"

# A question of your own:
# [predict.upgrade]
# label = "event upgrade"
# horizon = "30D"

[models]
retrain_after = "30D"

[segments]
files = ["segments.yaml"]

[journeys]
files = ["journeys/*.yaml"]
holdout = 0.05                         # share of people no journey messages, to measure the rest
"""

SEGMENTS: Final = """\
# Segments by rule, over predictions and attributes of contacts. docs/journeys.md explains them.
segments:
  likely_to_buy:
    title: Likely to buy in 30 days
    top: {column: purchase_probability_30d, share: 0.10}
    why: "{purchase_probability_30d:percent} chance to order within 30 days"
    action: Show new arrivals; no discount needed

  leaving:
    title: Good customers about to leave
    when: churn_risk = 'high' and order_days_365d >= 2
    why: "{churn_probability_90d:percent} chance of no order within 90 days"
    action: Win back with a personal message

  lapsed:
    title: No order for 180 days
    when: days_since_last_order > 180
    why: "last order {days_since_last_order:number} days ago"
    action: Ask what was missing
"""

JOURNEY: Final = """\
journey: win_back
title: Win back good customers about to leave
entry: {segment: leaving}
reentry: 180D
steps:
  - wait: 1D
  - message: {name: we_miss_you, channel: email, topic: offers, template: win_back_1}
goal: order
exit: {left_segment: true}
expires_after: 30D
holdout: 0.10
"""
