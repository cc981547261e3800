"""Who is still a customer? Parameters, holdout and time of fits, beside peers that are installed.

    python benchmarks/btyd.py --cdnow FOLDER        # cdnow_sample.csv.gz and cdnow_master.csv.gz
    python benchmarks/btyd.py --cdnow FOLDER --skip-time

CDNOW: purchases of customers who first bought in early 1997 (Fader and Hardie). Models are fitted on weeks
0 to 39 and judged on weeks 39 to 78, which they have not seen. Of lifetimes 0.11 only
the fitters are used: other functions of it need an older pandas. pymc-marketing is fitted by its own MAP, with
its own priors; its CPU time includes compiling.
"""

import argparse
import time
import tracemalloc
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlmarket.churn import (
    BetaGeoModel,
    ExtrapolationWarning,
    GammaGammaModel,
    ModifiedBetaGeoModel,
    ParetoNBDModel,
    summarize_transactions,
    track_purchases,
)

AS_OF = datetime(1997, 9, 30, 23, 59, 59, 999999, tzinfo=UTC)
UNTIL = datetime(1998, 6, 30, 23, 59, 59, 999999, tzinfo=UTC)
HORIZON = "273D"
MODELS: dict[str, Any] = {
    "BG/NBD": BetaGeoModel,
    "MBG/NBD": ModifiedBetaGeoModel,
    "Pareto/NBD": ParetoNBDModel,
}
PUBLISHED = {  # of the 1/10 sample; Fader and Hardie, Fader, Hardie and Lee (2005)
    "BG/NBD": ((0.2426, 4.414, 0.793, 2.426), -9582.43),
    "MBG/NBD": (None, -9582.14),
    "Pareto/NBD": ((0.5533, 10.578, 0.6062, 11.668), -9594.98),
    "Gamma-Gamma": ((6.250, 3.744, 15.443), None),
}
PEERS = {
    "BG/NBD": "BetaGeoFitter",
    "MBG/NBD": "ModifiedBetaGeoFitter",
    "Pareto/NBD": "ParetoNBDFitter",
    "Gamma-Gamma": "GammaGammaFitter",
}
BAYES = {
    "BG/NBD": "BetaGeoModel",
    "MBG/NBD": "ModifiedBetaGeoModel",
    "Pareto/NBD": "ParetoNBDModel",
}
STARTS = ([0.01] * 4, [1.0] * 4, [10.0] * 4, [100.0, 0.01, 1.0, 50.0], [0.1, 100.0, 20.0, 0.1])
REPEATS = 20


def orders_of(path: Path) -> pd.DataFrame:
    """Read transactions of CDNOW."""
    lines = pd.read_csv(path, dtype={"id": str, "date": str})
    return lines.rename(columns={"id": "contact_id", "date": "ordered_at", "value": "amount"})


def peer(name: str) -> Any | None:  # noqa: ANN401
    """Return a fitter of lifetimes, None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import lifetimes
    except ImportError:
        return None
    return getattr(lifetimes, PEERS[name])()


def fit_peer(name: str, summary: pd.DataFrame) -> Any | None:  # noqa: ANN401
    """Fit a model of lifetimes."""
    fitter = peer(name)
    if fitter is None:
        return None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if name == "Gamma-Gamma":
            again = summary[summary["frequency"] > 0]
            return fitter.fit(again["frequency"], again["monetary_value"])
        return fitter.fit(summary["frequency"], summary["recency"], summary["T"])


def fit_bayes(name: str, summary: pd.DataFrame) -> tuple[Any, float] | None:
    """Fit a model of pymc-marketing; return it with its CPU seconds, None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pymc_marketing import clv
    except ImportError:
        return None
    if name not in BAYES:
        return None
    rows = summary.rename(columns={"contact_id": "customer_id"}).drop(columns="monetary_value")
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(clv, BAYES[name])(rows)
        model.fit(method="map", progressbar=False)
    return model, time.process_time() - begin


def numbers(values: Any) -> str:  # noqa: ANN401
    """Write parameters in one line."""
    return "  ".join(f"{value:8.4f}" for value in values).ljust(38)


def show_fits(summary: pd.DataFrame) -> dict[str, Any]:
    """Print parameters and likelihoods beside the published ones and those of lifetimes."""
    print(f"\nCDNOW 1/10 sample, weeks 0 to 39: {len(summary):,} customers")
    fitted: dict[str, Any] = {}
    for name, make in {**MODELS, "Gamma-Gamma": GammaGammaModel}.items():
        model = fitted[name] = make().fit(summary)
        wanted, likelihood = PUBLISHED[name]
        errors = model.standard_errors_.values()
        print(f"{name:12} {', '.join(model.names)}; {model.message_}")
        print(
            f"  mlmarket     {numbers(model.parameters_.values())} LL {model.log_likelihood_:.2f}"
        )
        print(f"  std. errors  {numbers(errors)}")
        written = "" if likelihood is None else f"LL {likelihood:.2f}"
        print(f"  published    {numbers(wanted or ())} {written}")
        other = fit_peer(name, summary)
        if other is not None:
            print(f"  lifetimes    {numbers(other.params_)}")
        bayes = fit_bayes(name, summary)
        if bayes is not None:
            found = bayes[0].fit_summary()
            values = numbers(found[parameter] for parameter in model.names)
            expected = float(np.sum(np.asarray(bayes[0].expected_purchases(future_t=39.0))))
            print(
                f"  pymc MAP     {values} {bayes[1]:.1f} CPU s, expects {expected:,.0f} purchases"
            )
    return fitted


def show_holdout(summary: pd.DataFrame, orders: pd.DataFrame, fitted: dict[str, Any]) -> None:
    """Print purchases expected and actual in the 39 weeks after the fit."""
    purchases = orders.drop_duplicates(["contact_id", "ordered_at"])
    after = purchases[purchases["ordered_at"] > f"{AS_OF:%Y-%m-%d}"]
    came = after.groupby("contact_id").size().reindex(summary["contact_id"]).fillna(0).to_numpy()
    print(f"\nWeeks 39 to 78: {came.sum():,.0f} purchases came")
    print(
        f"{'':12}{'expected':>10}{'':>9}{'MAE':>8}{'new contacts, to week 78':>28}{'lifetimes':>11}"
    )
    for name in MODELS:
        expected = fitted[name].expected_purchases(summary, horizon=HORIZON)
        tracking = track_purchases(fitted[name], orders, as_of=AS_OF, until=UNTIL)
        short = expected.sum() / came.sum() - 1.0
        mae = np.abs(expected - came).mean()
        other = fit_peer(name, summary)
        theirs = "" if other is None else f"{_of_peer(other, summary):,.0f}"
        print(
            f"{name:12}{expected.sum():10,.0f}{short:9.1%}{mae:8.3f}"
            f"{tracking.holdout_error:28.1%}{theirs:>11}"
        )


def _of_peer(fitter: Any, summary: pd.DataFrame) -> float:  # noqa: ANN401
    expect = fitter.conditional_expected_number_of_purchases_up_to_time
    columns = [summary[column].to_numpy() for column in ("frequency", "recency", "T")]
    with np.errstate(all="ignore"):
        return float(np.sum(expect(39.0, *columns)))


def show_starts(summary: pd.DataFrame) -> None:
    """Print how far parameters of other starts are away."""
    print(f"\nLargest relative difference of a parameter from {len(STARTS)} starts:")
    for name, make in MODELS.items():
        usual = np.array(list(make().fit(summary).parameters_.values()))
        far = 0.0
        for start in STARTS:
            begun = dict(zip(make.names, start, strict=True))
            found = np.array(list(make(start=begun).fit(summary).parameters_.values()))
            far = max(far, float(np.abs(found / usual - 1.0).max()))
        print(f"  {name:12}{far:.1e}")


def cpu_of(work: Callable[[pd.DataFrame], object], rows: pd.DataFrame, repeats: int) -> float:
    """Return CPU seconds of one run, of which the first is not counted."""
    work(rows)
    begin = time.process_time()
    for _ in range(repeats):
        work(rows)
    return (time.process_time() - begin) / repeats


def show_time(sample: pd.DataFrame, master: pd.DataFrame) -> None:
    """Print CPU time of fits, and memory of the largest."""
    times = ["frequency", "recency", "T"]
    many = master[times].sample(1_000_000, replace=True, random_state=0, ignore_index=True)
    drawn = BetaGeoModel().fit(master).simulate(many["T"], random_state=0)
    print(
        "\nFit, CPU ms (and extra memory); 1,000,000: drawn from all customers; *: times of the model's"
    )
    print(f"{'':14}{'2,357':>10}{'23,570':>10}{'1,000,000':>20}{'1,000,000*':>20}")
    for name, make in MODELS.items():
        cells = [f"{1e3 * cpu_of(make().fit, rows, REPEATS):10.1f}" for rows in (sample, master)]
        for large in (many, drawn):
            spent = 1e3 * cpu_of(make().fit, large, 1)
            tracemalloc.start()
            make().fit(large)
            memory = tracemalloc.get_traced_memory()[1] / 1e6
            tracemalloc.stop()
            cells.append(f"{spent:10.0f} ({memory:3.0f} MB)".rjust(20))
        print(f"{name:14}{''.join(cells)}")
        if peer(name) is not None and name != "Pareto/NBD":
            rows = [(sample, 3), (master, 1), (many, 0)]
            spent = [1e3 * _of_peer_cpu(name, frame, repeats) for frame, repeats in rows]
            print(f"{'  lifetimes':14}{spent[0]:10.0f}{spent[1]:10.0f}{spent[2]:20.0f}")


def _of_peer_cpu(name: str, frame: pd.DataFrame, repeats: int) -> float:
    if repeats:
        return cpu_of(lambda rows: fit_peer(name, rows), frame, repeats)
    begin = time.process_time()
    fit_peer(name, frame)
    return time.process_time() - begin


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cdnow", type=Path, required=True)
    parser.add_argument("--skip-time", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ExtrapolationWarning)
    master = summarize_transactions(orders_of(given.cdnow / "cdnow_master.csv.gz"), as_of=AS_OF)
    orders = orders_of(given.cdnow / "cdnow_sample.csv.gz")
    summary = summarize_transactions(orders, as_of=AS_OF)
    fitted = show_fits(summary)
    show_holdout(summary, orders, fitted)
    show_starts(summary)
    if not given.skip_time:
        show_time(summary, master)


if __name__ == "__main__":
    main()
