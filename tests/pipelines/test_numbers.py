"""Ranges of numbers: what they hold, how texts become numbers, and what they are called."""

import argparse

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.numbers import NumberRange, positive_numbers, whole_numbers

quick = settings(deadline=None, max_examples=100, database=None)


@given(st.integers(-(2**70), 2**70))
@quick
def test_whole_numbers_hold_what_fits_32_bits(value):
    fits = np.iinfo(np.int32).min < value <= np.iinfo(np.int32).max
    assert (value in NumberRange(int)) is fits
    assert (value in whole_numbers(1)) is (fits and value >= 1)
    assert (value in whole_numbers(1, 2**62)) is (1 <= value <= 2**62)


@given(st.floats(allow_nan=True, allow_infinity=True))
@quick
def test_real_numbers_hold_what_is_finite_and_not_lost_in_float32(value):
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(value)
    is_normal = np.isfinite(single) and (single == 0) == (value == 0) and (value == 0 or abs(single) >= 1.2e-38)
    if abs(value) < 3.4e38 and not 1.17e-38 < abs(value) < 1.21e-38:  # next to the limits, rounding may decide
        assert (value in NumberRange(float)) is bool(is_normal)
    assert (value in positive_numbers()) is (value in NumberRange(float) and value > 0)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1]])
def test_whole_numbers_do_not_hold_other_types(value):
    assert value not in whole_numbers(0)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "1e3", str(2**31), "9" * 5000])
def test_whole_numbers_refuse_a_text_in_a_short_sentence(text):
    with pytest.raises(argparse.ArgumentTypeError, match="a whole number from 1 to 2,147,483,647 is needed") as refusal:
        whole_numbers(1)(text)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e39", "1e-60", "1e999", "x"])
def test_positive_numbers_refuse_a_text(text):
    with pytest.raises(argparse.ArgumentTypeError, match="a number above 0 that fits float32 is needed"):
        positive_numbers()(text)


def test_number_ranges_return_the_number_of_a_text():
    assert whole_numbers(1)("17") == 17
    assert positive_numbers()("2e-4") == 2e-4


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (NumberRange(int, minimum=1, maximum=1000), "a whole number from 1 to 1,000"),
        (NumberRange(int, minimum=1), "a whole number from 1 to 2,147,483,647"),
        (NumberRange(float, minimum=0.0, maximum=0.5), "a number from 0 to 0.5"),
        (NumberRange(float, minimum=0.0), "a number of at least 0 that fits float32"),
        (NumberRange(float, above=0.0), "a number above 0 that fits float32"),
        (NumberRange(float, above=0.0, maximum=10.0), "a number above 0 up to 10"),
    ],
)
def test_number_range_in_words(limits, expected):
    assert str(limits) == expected
