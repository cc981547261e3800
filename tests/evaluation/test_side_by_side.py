"""Contacts that are drawn once show of each model what draws of its own would have shown."""

import numpy as np
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import bootstrap, log_loss, paired_difference
from mlmarket.evaluation.side_by_side import METRICS, LossDraws, measures_of


@pytest.fixture(scope="module")
def judged():
    """Return labels, and what three models of different sharpness said."""
    draw = np.random.default_rng(4)
    label = (draw.random(900) < 0.3).astype(np.int8)
    said = {
        name: np.clip(0.3 + sharp * (label - 0.3) + draw.normal(0.0, 0.1, 900), 0.01, 0.99)
        for name, sharp in (("blunt", 0.05), ("fair", 0.15), ("sharp", 0.4))
    }
    return label, said


def test_each_interval_is_the_one_that_the_model_would_have_alone(judged):
    label, said = judged
    together = measures_of(label, said, n_resamples=100, random_state=3)
    for model, predicted in said.items():
        for name, metric in METRICS.items():
            alone = bootstrap(metric, label, predicted, n_resamples=100, random_state=3)
            found = together[model][name]
            assert (found.value, found.low, found.high) == pytest.approx(
                (alone.value, alone.low, alone.high), abs=1e-12
            )


def test_a_saving_is_the_paired_difference(judged):
    label, said = judged
    contacts = np.arange(900) // 3
    draws = LossDraws(label, said, groups=contacts, n_resamples=200, random_state=0)
    for model, over in (("sharp", "blunt"), ("fair", "sharp"), ("fair", "fair")):
        found = draws.saving(model, over=over)
        wanted = paired_difference(
            log_loss,
            label,
            said[over],
            said[model],
            groups=contacts,
            n_resamples=200,
            random_state=0,
        )
        assert (found.value, found.low, found.high) == pytest.approx(
            (wanted.value, wanted.low, wanted.high), abs=1e-12
        )


def test_a_higher_level_is_a_wider_interval(judged):
    label, said = judged
    draws = LossDraws(label, said, groups=np.arange(900), random_state=0)
    usual = draws.saving("fair", over="blunt")
    careful = draws.saving("fair", over="blunt", level=0.99)
    assert careful.low < usual.low < usual.high < careful.high
    assert careful.value == usual.value


def test_a_label_that_is_none_is_refused(judged):
    _, said = judged
    with pytest.raises(ConfigurationError):
        measures_of(np.full(900, 2), said, random_state=0)
    with pytest.raises(ConfigurationError):
        LossDraws(np.full(900, 2), said, groups=np.arange(900), random_state=0)
