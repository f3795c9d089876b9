"""The collapse alarm: where it rings, where it is silent, what it logs, and that it warns once."""

import json

import numpy as np
import pytest
from helpers import gaussians

from gan_tf.gan.collapse import NUM_SAMPLES, CollapseAlarm, Variety, describe_collapse
from gan_tf.training.loop import TrainingPlan
from pipelines.image_array import ImageArray

RANDOM = np.random.default_rng(0)
EVEN = np.full(10, 0.1)
WARNS_FROM = 100_000 // gaussians.BATCH  # steps


def blobs(count: int, spread: float, seed: int) -> np.ndarray:
    """Returns images of a bright spot, uint8 ``[count, 16, 16, 1]``, whose place, size and brightness vary by ``spread``."""
    random = np.random.default_rng(seed)
    center, width, height = (random.uniform(-spread, spread, (count, n, 1, 1)) for n in (2, 1, 1))
    grid = np.arange(16.0)
    rows, columns = grid[None, :, None] - 7.5 - 4 * center[:, 0], grid[None, None, :] - 7.5 - 4 * center[:, 1]
    values = (200 + 55 * height[:, 0]) * np.exp(-(rows**2 + columns**2) / (2 * (2.5 + 1.5 * width[:, 0]) ** 2))
    return values.astype(np.uint8)[..., None]


REAL = blobs(1000, 1.0, 0)
HEALTHY, NARROW = blobs(NUM_SAMPLES, 1.0, 1), blobs(NUM_SAMPLES, 0.1, 1)
FEW = np.clip(np.tile(REAL[:8], (NUM_SAMPLES // 8, 1, 1, 1)) + RANDOM.normal(0, 2, (NUM_SAMPLES, 16, 16, 1)), 0, 255)


class Digits:
    """A classifier that reads the digit from the brightness of an image."""

    def __call__(self, images):
        digits = images.reshape(len(images), -1).max(axis=1).astype(int) % 10
        return np.zeros((len(images), 1), np.float32), np.eye(10)[digits]


@pytest.fixture
def build_alarm(tmp_path):
    """Returns a function from generated images to an alarm and its run."""
    runs = []

    def build(samples, classifier=None, real=REAL):
        _, stream = gaussians.build()
        run = gaussians.run_context(tmp_path / f"run{len(runs)}", stream, TrainingPlan(8), grid_every=5)
        run.stream.sources["real"] = ImageArray(real, "real")
        runs.append(run)
        alarm = CollapseAlarm(run, lambda step: samples, classifier)
        alarm.on_start(0)
        return alarm, run

    yield build
    for run in runs:
        run.loggers.close()


def logged(run) -> list[dict]:
    return [json.loads(line) for line in (run.run_dir.path / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("samples", "rings"), [(HEALTHY, False), (NARROW, True), (FEW.astype(np.uint8), True)])
def test_alarm_rings_for_collapsed_samples_only(build_alarm, capsys, samples, rings):
    alarm, run = build_alarm(samples)
    alarm.on_interval(WARNS_FROM)
    (line,) = logged(run)
    assert (line["sample_diversity"] < 0.5) == rings
    assert (capsys.readouterr().out.count("the generator seems to have collapsed") == 1) == rings


def test_alarm_of_the_real_images_themselves_has_a_diversity_of_one(build_alarm):
    alarm, run = build_alarm(blobs(NUM_SAMPLES, 1.0, 0), real=blobs(NUM_SAMPLES, 1.0, 0))
    alarm.on_interval(5)
    assert logged(run) == [{"step": 5, "sample_diversity": pytest.approx(1.0)}]


def test_alarm_warns_once_and_not_before_the_generator_has_seen_images(build_alarm, capsys):
    alarm, run = build_alarm(NARROW)
    alarm.on_interval(WARNS_FROM - 5)
    assert capsys.readouterr().out == ""
    for step in (WARNS_FROM, 2 * WARNS_FROM):
        alarm.on_interval(step)
    assert capsys.readouterr().out.count("warning") == 1
    assert [line["step"] for line in logged(run)] == [WARNS_FROM - 5, WARNS_FROM, 2 * WARNS_FROM]


def test_alarm_logs_nothing_where_a_training_is_stopped(build_alarm):
    alarm, run = build_alarm(HEALTHY)
    for step in (7, run.plan.steps):
        alarm.on_interval(step)
    assert [line["step"] for line in logged(run)] == [run.plan.steps]


def test_alarm_is_done_where_it_was_logged(build_alarm):
    alarm, _ = build_alarm(HEALTHY)
    assert not alarm.is_done(5)
    alarm.on_interval(5)
    assert alarm.is_done(5)


def test_alarm_compares_as_many_samples_as_there_are_real_images(build_alarm):
    alarm, run = build_alarm(blobs(NUM_SAMPLES, 1.0, 0), real=blobs(NUM_SAMPLES, 1.0, 0)[:20])
    alarm.on_interval(5)
    assert logged(run)[0]["sample_diversity"] == pytest.approx(1.0)


def test_alarm_of_equal_real_images_says_that_there_is_none(build_alarm, capsys):
    alarm, run = build_alarm(HEALTHY, real=np.tile(REAL[:1], (10, 1, 1, 1)))
    assert "no alarm for a mode collapse" in capsys.readouterr().out
    alarm.on_interval(5)
    assert logged(run) == []
    assert alarm.is_done(5)


def test_alarm_counts_digits(build_alarm):
    alarm, run = build_alarm(HEALTHY, Digits())
    alarm.on_interval(5)
    (line,) = logged(run)
    counts = np.bincount(HEALTHY.reshape(NUM_SAMPLES, -1).max(axis=1) % 10, minlength=10)
    assert line["digits_found"] == np.count_nonzero(counts)
    assert line["largest_digit"] == counts.max() / NUM_SAMPLES


@pytest.mark.parametrize(
    ("digits", "real", "evidence"),
    [
        (EVEN, EVEN, None),
        ([0, 0, *[0.125] * 8], EVEN, None),  # two rare digits may be missing by chance
        ([0, 0.2, 0, 0.2, 0.1, 0, 0.1, 0.1, 0.2, 0.1], EVEN, "none of its images shows a 0 or a 2 or a 5"),
        ([0.46, *[0.06] * 9], EVEN, "46 % of its images show a 0"),
        ([0.91, *[0.01] * 9], [0.91, *[0.01] * 9], None),  # so are the real images
        ([0, 0, 0, 0.3, *[0.7 / 6] * 6], [0.01, 0.02, 0.03, 0.24, *[0.7 / 6] * 6], None),  # these digits are rare
    ],
)
def test_describe_collapse_of_digits_compares_with_real_ones(digits, real, evidence):
    assert describe_collapse(Variety(0.9, np.array(digits), np.array(real))) == evidence


@pytest.mark.parametrize(("diversity", "rings"), [(0.0, True), (0.49, True), (0.5, False), (1.2, False)])
def test_describe_collapse_below_half_the_diversity_of_real_images(diversity, rings):
    assert bool(describe_collapse(Variety(diversity))) == rings
