"""User errors: their text, and their way through a graph."""

import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError, counted, shorten, user_error_from
from pipelines.transforms import take_rows


def test_user_error_text_is_one_line_of_problem_and_hint():
    assert str(UserError("a\nb is missing", "Put it back")) == "a b is missing. Put it back."


def test_user_error_from_a_graph_is_the_original():
    original = UserError("/data/a; expected b. [user-error:9] is gone", "Put it back. Then resume")

    def rows(indices):
        raise original if indices[0] == 1 else UserError("another", "Wait")

    first, second = (
        tf.data.Dataset.from_tensors([index]).map(lambda indices: take_rows(rows, indices, (2, 3))) for index in (0, 1)
    )
    with pytest.raises(tf.errors.UnknownError, match="another") as caught:
        next(iter(first))
    assert str(user_error_from(caught.value)) == "another. Wait."
    with pytest.raises(tf.errors.UnknownError) as caught:
        next(iter(second))
    assert user_error_from(caught.value) is original
    with pytest.raises(UserError, match="another"):
        take_rows(rows, [0], (2, 3))


def test_user_error_from_other_errors_is_none():
    steps = tf.data.Dataset.range(1).map(lambda index: take_rows(lambda rows: np.zeros(3, np.uint8), index[None] + 5, (2, 3)))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        next(iter(steps))
    assert user_error_from(caught.value) is None
    assert user_error_from(ValueError("[user-error:1000000]")) is None


@pytest.mark.parametrize(("number", "words"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (12345, "12,345 files")])
def test_counted_has_a_singular_and_separates_thousands(number, words):
    assert counted(number, "file") == words


def test_shorten_long_text_keeps_its_beginning():
    assert shorten("12345") == "12345"
    assert shorten("7" * 5000) == "7" * 60 + "…"
