"""Values of settings: ranges, types and choices, and what is refused with which words."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gan_tf.options import GanSettings, between, flag, nearest, resolve, resolve_gan
from pipelines.errors import InputError

FIELDS = {field.name: field for field in dataclasses.fields(GanSettings)}
NUMBERS = [name for name, field in FIELDS.items() if field.type in (int, float)]
CHOICES = [name for name, field in FIELDS.items() if field.metadata["choices"]]
quick = hypothesis_settings(deadline=None, max_examples=30, database=None)


def said(**values):
    """The settings of one command line."""
    return resolve_gan({}, {}, values)


@pytest.mark.parametrize("name", ["precision", "augment"])
def test_choices_of_precision_and_augment(name):
    choices = {"precision": ("float32", "bfloat16"), "augment": ("none", "diffaugment")}[name]
    assert FIELDS[name].metadata["choices"] == choices
    assert getattr(said().settings, name) == choices[0]
    with pytest.raises(InputError) as refusal:
        said(**{name: "float16"})
    assert refusal.value.given == f"--{name} float16"


def within(name):
    """Values of a number's range, its ends often among them."""
    field = FIELDS[name]
    low, high, above = (field.metadata[key] for key in ("low", "high", "above"))
    if field.type is int:
        return st.integers(low, 10**6 if high is None else high) | st.just(low)
    bottom = above if low is None else low
    floats = st.floats(bottom, 1e30 if high is None else high, exclude_min=above is not None)
    return floats if above is not None else floats | st.just(low)


@pytest.mark.parametrize("name", NUMBERS)
def test_values_within_the_range_are_taken(name):
    @given(within(name))
    @quick
    def check(value):
        assert getattr(resolve(GanSettings, [("said", {name: value})]).settings, name) == value

    check()


@pytest.mark.parametrize("name", NUMBERS)
def test_values_outside_the_range_are_refused(name):
    field = FIELDS[name]
    low, high, above = (field.metadata[key] for key in ("low", "high", "above"))
    outside = []
    if field.type is int:
        outside += [st.integers(max_value=low - 1)]
        outside += [st.integers(min_value=high + 1)] if high is not None else []
    else:
        outside += [st.sampled_from([math.nan, math.inf, -math.inf, 10**400, -(10**400)])]
        outside += [st.floats(max_value=above)] if above is not None else [st.floats(max_value=low, exclude_max=True)]
        outside += [st.floats(min_value=high, exclude_min=True)] if high is not None else []

    @given(st.one_of(outside))
    @quick
    def check(value):
        with pytest.raises(InputError) as refusal:
            resolve(GanSettings, [("said", {name: value})])
        assert flag(name) in refusal.value.given

    check()


@pytest.mark.parametrize("name", [name for name in NUMBERS if FIELDS[name].type is int])
def test_whole_numbers_too_large_for_a_float_are_compared_all_the_same(name):
    if FIELDS[name].metadata["high"] is None:
        assert getattr(resolve(GanSettings, [("said", {name: 10**400})]).settings, name) == 10**400
    else:
        with pytest.raises(InputError):
            resolve(GanSettings, [("said", {name: 10**400})])


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_other_types_are_refused(name):
    wrong = {
        int: [True, 2.0, "2", None, [2], {}],
        float: [True, "0.5", None, [0.5]],
        str: [1, True, None, ["gan"], {"gan": 1}],
        bool: [0, 1, "true", None],
    }[FIELDS[name].type]
    for value in wrong:
        with pytest.raises(InputError) as refusal:
            resolve(GanSettings, [("config", {name: value})])
        assert flag(name) in refusal.value.given
        assert "config" in refusal.value.given


def test_a_whole_number_for_a_float_becomes_one():
    value = said(penalty_weight=10, penalty="r1").settings.penalty_weight
    assert isinstance(value, float)
    assert value == 10.0


@pytest.mark.parametrize("name", CHOICES)
def test_choices(name):
    for value in FIELDS[name].metadata["choices"]:
        assert getattr(resolve(GanSettings, [("said", {name: value})]).settings, name) == value
    with pytest.raises(InputError) as refusal:
        resolve(GanSettings, [("said", {name: "nonsense"})])
    assert all(value in refusal.value.expected for value in FIELDS[name].metadata["choices"])


@pytest.mark.parametrize(
    ("name", "mistyped", "meant"),
    [
        ("loss", "wgna", "wgan"),
        ("loss", "wgan-gp", "wgangp"),
        ("norm", "spectrl", "spectral"),
        ("penalty", "twosided", "two-sided"),
    ],
)
def test_the_nearest_choice_is_suggested(name, mistyped, meant):
    with pytest.raises(InputError, match=f"did you mean '{meant}'"):
        said(**{name: mistyped})


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'penalty'") as refusal:
        resolve_gan({}, {"penalti": "r1"}, {})
    assert "'penalti'" in refusal.value.given
    assert "config" in refusal.value.given


def test_nothing_near_is_suggested_for_nonsense():
    assert nearest("qqqq", ["wgan", "gan"]) == "one of: gan, wgan"


def test_ranges_in_words():
    assert between(1, None, None) == " from 1"
    assert between(0.0, 0.5, None) == " from 0.0 to 0.5"
    assert between(None, None, 0.0) == " above 0.0"
    assert between(None, 3, None) == " to 3"


def test_flags():
    assert flag("ema_half_life") == "--ema-half-life"
