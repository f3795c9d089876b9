"""One array of many batches: the same in memory and beyond the budget."""

import tempfile

import numpy as np
import pytest

from pipelines.collect import collect_rows
from pipelines.errors import UserError

ROWS = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8)


@pytest.mark.parametrize("budget", [0, 100, ROWS.nbytes - 1, ROWS.nbytes])
def test_collect_rows_of_any_budget_are_the_batches_joined(budget):
    rows = collect_rows(iter([ROWS[:3], ROWS[3:3], ROWS[3:]]), (4, 4, 3), budget)
    np.testing.assert_array_equal(rows, ROWS)
    assert isinstance(rows, np.memmap) == (budget < ROWS.nbytes)


def test_collect_rows_of_no_batch_has_no_rows():
    assert collect_rows(iter([]), (4, 4, 3), 0).shape == (0, 4, 4, 3)


def test_collect_rows_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = collect_rows(iter([ROWS]), (4, 4, 3), 0)
    np.testing.assert_array_equal(rows[[9, 0]], ROWS[[9, 0]])
    assert list(tmp_path.iterdir()) == []


def test_collect_rows_on_a_full_disk_is_one_sentence(monkeypatch):
    with open("/dev/full", "w+b", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full)
        with pytest.raises(
            UserError, match=r"exceed the memory budget of 0 MB.*No space left on device.*Raise --memory-budget"
        ):
            collect_rows(iter([ROWS]), (4, 4, 3), 0)
