"""No label of the target, and no validation image, has any influence on the weights of an adaptation."""

import random

import numpy as np
import pytest
from helpers.cli import call, only_run
from helpers.domains import NUM_TRAIN, TINY_DANN, write_digits, write_domain, write_table

from pipelines.formats.domains import DomainData

DIGITS = [index % 10 for index in range(NUM_TRAIN)]


def shuffled_labels(root):
    write_table(root / "svhn/train.csv", range(NUM_TRAIN), random.Random(0).sample(DIGITS, NUM_TRAIN))


def wrong_labels(root):
    write_table(root / "svhn/train.csv", range(NUM_TRAIN), [(digit + 1) % 10 for digit in DIGITS])


def labels_that_are_none(root):
    write_table(root / "svhn/train.csv", range(NUM_TRAIN), ["cat"] * NUM_TRAIN)


def missing_labels(root):
    write_table(root / "svhn/train.csv", range(NUM_TRAIN), [None] * NUM_TRAIN)


def no_column_of_labels(root):
    names = [f"{index:02d}.png" for index in range(NUM_TRAIN)]
    (root / "svhn/train.csv").write_text("\n".join(["image_name", *names]) + "\n")


def rows_in_the_order_of_the_labels(root):
    order = sorted(range(NUM_TRAIN), key=DIGITS.__getitem__)
    write_table(root / "svhn/train.csv", order, [DIGITS[index] for index in order])


def names_that_tell_the_label(root):
    for index in range(NUM_TRAIN):
        (root / f"svhn/data/{index:02d}.png").rename(root / f"svhn/data/{DIGITS[index]}_{index:02d}.png")
    names = [f"{DIGITS[index]}_{index:02d}.png" for index in range(NUM_TRAIN)]
    (root / "svhn/train.csv").write_text("\n".join(["image_name", *names]) + "\n")


def no_tables(root):
    for index in range(NUM_TRAIN, NUM_TRAIN + 6):
        (root / f"svhn/data/{index:02d}.png").unlink()
    for part in ("train", "val"):
        (root / f"svhn/{part}.csv").unlink()


def a_folder_for_each_label(root):
    no_tables(root)
    for index in range(NUM_TRAIN):
        folder = root / f"svhn/data/{DIGITS[index]}"
        folder.mkdir(exist_ok=True)
        (root / f"svhn/data/{index:02d}.png").rename(folder / f"{index:02d}.png")


def unreadable_validation(root):
    (root / "svhn/val.csv").write_bytes(b"\xff\xfe\x00 no table")
    for index in range(NUM_TRAIN, NUM_TRAIN + 6):
        (root / f"svhn/data/{index:02d}.png").write_bytes(b"no image")


CHANGES = [
    shuffled_labels,
    wrong_labels,
    labels_that_are_none,
    missing_labels,
    no_column_of_labels,
    rows_in_the_order_of_the_labels,
    names_that_tell_the_label,
    no_tables,
    a_folder_for_each_label,
    unreadable_validation,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_adaptation_sees_the_same_whatever_the_target_labels_are(tmp_path, change):
    """The source that training takes the target's images from holds the same bytes, and nothing else."""
    roots = [write_digits(tmp_path / name) for name in ("before", "after")]
    change(roots[1])
    before, after = (DomainData("svhn", "adapt").open(root, "train", 0)["target"] for root in roots)
    assert before.digest == after.digest
    np.testing.assert_array_equal(before.images, after.images)
    samples = after.take(np.arange(len(after)))
    assert not isinstance(samples, dict)  # images alone: there is no place for a label
    assert len(after) == NUM_TRAIN


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The weights of a tiny adaptation to digits with right labels."""
    root = tmp_path_factory.mktemp("right")
    write_digits(root / "data")
    return train(root / "data", root / "runs")


def train(data, runs):
    assert call("train", "--task", "dann", "--data", data, "--runs", runs, "--steps", 3, *TINY_DANN) == 0
    return (only_run(runs, "dann") / "weights.npz").read_bytes()


@pytest.mark.parametrize(
    "change", [wrong_labels, no_column_of_labels, unreadable_validation], ids=lambda change: change.__name__
)
def test_train_weights_have_the_same_bits_whatever_the_target_labels_are(tmp_path, trained, change):
    data = write_digits(tmp_path / "data")
    change(data)
    assert train(data, tmp_path / "runs") == trained


def test_train_weights_differ_where_source_labels_or_target_images_do(tmp_path, trained):
    """The other side of the tests above: what is trained on does change the weights."""
    data = write_digits(tmp_path / "data")
    write_table(data / "mnistm/train.csv", range(NUM_TRAIN), [(digit + 1) % 10 for digit in DIGITS])
    assert train(data, tmp_path / "runs") != trained
    other = tmp_path / "other"
    write_domain(other / "mnistm")
    write_domain(other / "svhn", seed=7)
    assert train(other, tmp_path / "other-runs") != trained


def test_source_phase_reads_no_target(tmp_path):
    data = write_digits(tmp_path / "data")
    (data / "svhn").rename(tmp_path / "elsewhere")
    assert DomainData("svhn", "source").open(data, "train", 0).keys() == {"source"}
