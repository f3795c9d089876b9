"""The words on how an adaptation goes: each warning where it applies, and none where all is well."""

import numpy as np
import pytest

from gan_tf.dann.health import Health, describe_health

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


def test_describe_health_of_a_supervised_phase_has_no_domains():
    lines = describe_health(Health({"loss": 1.0, "accuracy": 0.5}, 0.5, UNIFORM, CLASSES))
    assert "domain" not in lines[0]
