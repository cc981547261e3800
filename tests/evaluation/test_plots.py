import re
import subprocess
import sys
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import (
    calibration_curve,
    gain_table,
    plot_calibration,
    plot_folds,
    plot_lift,
    plot_scores,
    to_svg,
)

RNG = np.random.default_rng(0)
P = RNG.beta(1, 6, 800)
Y = RNG.random(800) < P


def folds(models=("model", "rule"), origins=3):
    days = pd.date_range("2024-01-01", periods=origins, freq="30D", tz="UTC")
    rows = [
        (day, model, metric, 0.3 + 0.1 * number, 0.25 + 0.1 * number, 0.38 + 0.1 * number)
        for day in days
        for number, model in enumerate(models)
        for metric in ("log_loss", "roc_auc")
    ]
    return pd.DataFrame(rows, columns=["origin", "model", "metric", "value", "low", "high"])


DRAWN = {
    "calibration": lambda ax=None: plot_calibration(calibration_curve(Y, P), ax=ax),
    "lift": lambda ax=None: plot_lift(gain_table(Y, P), ax=ax),
    "scores": lambda ax=None: plot_scores(*np.histogram(P, bins=20), ax=ax),
    "folds": lambda ax=None: plot_folds(folds(), metric="log_loss", ax=ax),
}
every_plot = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)


@every_plot
def test_both_axes_say_what_they_hold(draw):
    axes = draw()
    assert axes.get_xlabel()
    assert axes.get_ylabel()


@every_plot
def test_given_axes_are_drawn_on_and_returned(draw):
    axes = Figure().add_subplot()
    assert draw(axes) is axes
    assert axes.has_data()


@every_plot
def test_drawing_and_writing_leave_the_settings_of_the_process_alone(draw):
    before = dict(mpl.rcParams)
    to_svg(draw().figure, id_prefix="a")
    assert dict(mpl.rcParams) == before


@every_plot
def test_the_same_figure_gives_the_same_bytes(draw):
    figure = draw().figure
    first = to_svg(figure, id_prefix="a")
    assert first == to_svg(figure, id_prefix="a")
    assert first == to_svg(draw().figure, id_prefix="a")


@every_plot
def test_the_settings_of_the_reader_do_not_change_the_bytes(draw):
    usual = to_svg(draw().figure, id_prefix="a")
    theirs = {"font.size": 20, "axes.grid": True, "savefig.bbox": "tight", "svg.fonttype": "none"}
    with mpl.rc_context(theirs):
        assert to_svg(draw().figure, id_prefix="a") == usual


@every_plot
def test_svgs_of_one_page_share_no_id_and_point_only_to_their_own(draw):
    found = []
    for prefix in ("first", "second"):
        svg = to_svg(draw().figure, id_prefix=prefix)
        ids = set(re.findall(r'\sid="([^"]+)"', svg))
        pointed = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
        assert pointed
        assert pointed <= ids
        assert all(name == prefix or name.startswith(f"{prefix}-") for name in ids)
        assert f"#{prefix} *{{" in svg
        found.append(ids)
    assert not found[0] & found[1]


@every_plot
def test_an_svg_is_one_element_without_prologue_date_or_version(draw):
    svg = to_svg(draw().figure, id_prefix="a", title="What <it> shows")
    root = ET.fromstring(svg)  # noqa: S314  our own text
    assert root.tag.endswith("svg")
    assert root.get("role") == "img"
    assert root[0].text == "What <it> shows"
    assert svg.startswith("<svg ")
    for word in ("<?xml", "DOCTYPE", "metadata", "Matplotlib v", "dc:date"):
        assert word not in svg


def test_another_process_writes_the_same_bytes_without_pyplot():
    code = (
        "import numpy as np, sys\n"
        "from mlmarket.evaluation import plot_scores, to_svg\n"
        "axes = plot_scores(*np.histogram([0.1, 0.2, 0.2, 0.7], bins=5))\n"
        "sys.stdout.write(to_svg(axes.figure, id_prefix='s'))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert runs[0].startswith(b"<svg ")


@pytest.mark.parametrize("prefix", ["", "1a", 'a"b', "a b"])
def test_a_prefix_that_cannot_be_an_id_is_refused(prefix):
    with pytest.raises(ConfigurationError, match="cannot begin an id"):
        to_svg(Figure(), id_prefix=prefix)


def test_the_bars_of_the_lift_are_the_rates_and_carry_their_multiples():
    table = gain_table(Y, P, 5)
    axes = plot_lift(table)
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == pytest.approx(100 * table.rate)
    assert axes.texts[0].get_text() == f"{table.rate[0] / Y.mean():.1f}\N{MULTIPLICATION SIGN}"
    assert axes.get_xticklabels()[-1].get_text() == "80\N{EN DASH}100"


def test_a_lift_without_a_positive_is_drawn_flat():
    axes = plot_lift(gain_table([0, 0, 0], [0.1, 0.2, 0.3], 3))
    assert [bar.get_height() for bar in axes.patches] == [0.0, 0.0, 0.0]
    assert not axes.texts
    to_svg(axes.figure, id_prefix="a")


def test_every_model_of_the_folds_has_a_line_marker_and_colour_of_its_own():
    axes = plot_folds(folds(("a", "b", "c", "d")), metric="log_loss")
    lines = [line for line in axes.lines if line.get_label() in "abcd"]
    assert len({line.get_marker() for line in lines}) == 4
    assert len({line.get_linestyle() for line in lines}) == 4
    assert len({to_hex(line.get_color()) for line in lines}) == 4
    assert lines[1].get_ydata() == pytest.approx([0.4] * 3)
    low, high = np.array(axes.collections[1].get_segments())[0, :, 1]
    assert (low, high) == pytest.approx((0.35, 0.48))
    assert axes.get_ylabel() == "log loss (lower is better)"


def test_folds_without_intervals_are_drawn_as_points():
    frame = folds().assign(low=np.nan, high=np.nan)
    axes = plot_folds(frame, metric="roc_auc")
    assert axes.get_ylabel() == "roc auc (higher is better)"
    to_svg(axes.figure, id_prefix="a")


def test_many_origins_are_not_all_named():
    axes = plot_folds(folds(origins=30), metric="log_loss")
    assert len(axes.get_xticklabels()) <= 8
    assert axes.get_xticklabels()[0].get_text() == "2024\n01-01"


def test_a_name_with_dollars_is_written_as_it_is():
    axes = plot_folds(folds(("$x_1$", "b")), metric="log_loss")
    assert "$x_1$" in to_svg(axes.figure, id_prefix="a")


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (folds().drop(columns=["low", "high"]), "no column 'low', 'high'"),
        (folds().query("metric == 'lift'"), "No fold has the metric 'log_loss'"),
    ],
)
def test_folds_that_cannot_be_drawn_are_refused(frame, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        plot_folds(frame, metric="log_loss")


@pytest.mark.parametrize(("counts", "edges"), [([1, 2], [0, 1]), ([], []), ([[1]], [0, 1])])
def test_counts_that_do_not_fit_their_edges_are_refused(counts, edges):
    with pytest.raises(ConfigurationError, match="counts and"):
        plot_scores(counts, edges)
