"""Contacts of known truth, lived through purchase by purchase, and models of given parameters."""

import numpy as np
import pandas as pd
import pytest

from mlmarket.churn import BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel

MODELS = {model.kind: model for model in (BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel)}


def made(kind, *parameters, longest=1e9, unit="7D"):
    """Return a model of these parameters, as if it had been fitted."""
    model = MODELS[kind]
    return model.from_dict(
        {
            "kind": kind,
            "arguments": {"unit": unit, "penalty": 0.0, "start": None},
            "parameters": dict(zip(model.names, parameters, strict=True)),
            "standard_errors": None,
            "log_likelihood": 0.0,
            "converged": True,
            "message": "given",
            "iterations": 0,
            "contacts": 0,
            "longest_history": longest,
        }
    )


def lived(kind, parameters, lengths, ahead, *, seed):
    """Return what contacts did until they were looked at, and ``later``: what they did after that.

    Each contact's purchases happen one after another; nothing is drawn from a formula of the models.
    """
    draw = np.random.default_rng(seed)
    size = lengths.size
    r, alpha, c, d = parameters
    rate = draw.gamma(r, 1.0 / alpha, size)
    leaves, gone_at = np.zeros(size), np.full(size, np.inf)
    if kind == "pareto_nbd":
        gone_at = draw.exponential(1.0 / draw.gamma(c, 1.0 / d, size))
    else:
        leaves = draw.beta(c, d, size)
    if kind == "modified_beta_geo":
        gone_at = np.where(draw.random(size) < leaves, 0.0, np.inf)
    now = np.zeros(size)
    frequency, recency, later = np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros(size)
    active = np.flatnonzero(gone_at > 0.0)
    while active.size:
        now[active] += draw.exponential(1.0 / rate[active])
        active = active[(now[active] <= lengths[active] + ahead) & (now[active] < gone_at[active])]
        seen = active[now[active] <= lengths[active]]
        frequency[seen] += 1
        recency[seen] = now[seen]
        later[active[now[active] > lengths[active]]] += 1
        active = active[draw.random(active.size) >= leaves[active]]
    columns = {"frequency": frequency, "recency": recency, "T": lengths, "later": later}
    return pd.DataFrame(columns)


@pytest.fixture(scope="session", name="made")
def made_fixture():
    """Return the function that makes a model of given parameters."""
    return made


@pytest.fixture(scope="session", name="lived")
def lived_fixture():
    """Return the function that draws contacts of known truth."""
    return lived


@pytest.fixture(scope="session")
def shop():
    """Return a summary of 1,500 contacts, in whole days."""
    draw = np.random.default_rng(3)
    lengths = draw.integers(100, 300, 1500) / 7
    summary = lived("beta_geo", (0.6, 6.0, 0.9, 2.5), lengths, 0.0, seed=4)
    summary["recency"] = np.ceil(summary["recency"] * 7).clip(upper=(lengths * 7).round()) / 7
    summary["monetary_value"] = np.where(summary["frequency"] > 0, draw.gamma(3, 12, 1500), 0.0)
    return summary.drop(columns="later")
