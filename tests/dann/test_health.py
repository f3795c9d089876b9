"""The words on how an adaptation goes: each warning where it applies, and none where all is well."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from gan_tf.dann.health import Health, HealthReport, describe_health, view_agreement

GOOD = {"loss": 0.3, "accuracy": 0.9, "domain_loss": 0.65, "domain_accuracy": 0.6}
UNIFORM = np.full(10, 0.1)
CLASSES = tuple("0123456789")


def test_describe_health_of_a_good_training_has_no_warning():
    (line,) = describe_health(Health(GOOD, 0.92, UNIFORM, CLASSES))
    assert line.startswith(
        "domain loss 0.65 (ln 2 = 0.69 if the domains cannot be told apart); accuracy on training labels 90 %"
    )
    assert line.endswith("predicted classes in % 0: 10, 1: 10, 2: 10, 3: 10, 4: 10, 5: 10, 6: 10, 7: 10, 8: 10, 9: 10")


@pytest.mark.parametrize(
    ("means", "fractions", "warning"),
    [
        ({"domain_loss": 0.02, "domain_accuracy": 0.99}, UNIFORM, "the domain classifier is saturated: it is right in 99 %"),
        ({"accuracy": 0.7}, UNIFORM, "has fallen from 92 %"),
        ({}, np.array([0.52, *[0.06] * 8, 0.0]), "52 % of the images are classified as 0"),
        ({}, np.array([0.2, 0.2, *[0.1] * 6, 0.0, 0.0]), "no image is classified as 8, 9"),
    ],
)
def test_describe_health_warns(means, fractions, warning):
    _, *warnings = describe_health(Health(GOOD | means, 0.92, fractions, CLASSES))
    assert any(line.startswith("warning: ") and warning in line for line in warnings)


class FixedPredictor:
    """Calls the images as they are 0, 1, 1, 0, 1, and all of their strong views 1."""

    def __init__(self):
        self.answers = iter(([0, 1, 1, 0, 1], [1, 1, 1, 1, 1]))

    def classify_strokes(self, strokes):
        return np.array(next(self.answers))


def test_view_agreement_is_the_fraction_classified_alike_as_they_are_and_in_a_strong_view():
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 3), np.uint8)
    assert view_agreement(FixedPredictor(), images) == pytest.approx(3 / 5)


def test_recent_means_are_those_of_the_last_interval_and_the_best_accuracy_of_any(tmp_path):
    """Intervals of 4 steps; lines without a loss, such as those of reports, do not count."""
    values = [(2, 1.0, 0.5), (4, 0.8, 0.9), (6, 0.6, 0.6), (8, 0.4, 0.4)]
    lines = [json.dumps({"step": step, "loss": loss, "accuracy": accuracy}) for step, loss, accuracy in values]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, json.dumps({"step": 8, "agreement": 1.0})]) + "\n")
    run = SimpleNamespace(options=SimpleNamespace(grid_every=4), run_dir=SimpleNamespace(path=tmp_path))
    means, best = HealthReport(run, None, None, None)._recent_means()
    assert means == pytest.approx({"step": 7.0, "loss": 0.5, "accuracy": 0.5})
    assert best == pytest.approx(0.7)


def test_describe_health_of_a_supervised_phase_has_no_domains():
    lines = describe_health(Health({"loss": 1.0, "accuracy": 0.5}, 0.5, UNIFORM, CLASSES))
    assert "domain" not in lines[0]
