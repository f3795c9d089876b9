"""Values of options: ranges, types and choices, and the errors for others."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.gan.config import GanConfig, resolve_gan
from gan_tf.options import ACTIVE, INACTIVE, check_values, flag_name, holds, option, resolve, suggest, value_type
from gan_tf.tasks import TASKS
from gan_tf.training.run_options import RunOptions
from pipelines.errors import UserError

FIELDS = {field.name: field for field in dataclasses.fields(GanConfig)}
NUMBERS = [name for name, field in FIELDS.items() if field.type in (int, float)]
CHOICES = [name for name, field in FIELDS.items() if field.metadata["choices"]]
quick = hypothesis_settings(deadline=None, max_examples=30, database=None)


def from_cli(**values):
    """Returns the resolved configuration of one command line, without presets."""
    return resolve(GanConfig, {}, (), {}, values)


@pytest.mark.parametrize("name", ["precision", "augment"])
def test_choices_of_precision_and_augment(name):
    choices = {"precision": ("float32", "bfloat16"), "augment": ("none", "diffaugment")}[name]
    assert FIELDS[name].metadata["choices"] == choices
    assert getattr(from_cli().config, name) == choices[0]
    with pytest.raises(UserError) as refusal:
        from_cli(**{name: "float16"})
    assert f"--{name} float16" in refusal.value.problem


def within(name):
    """Returns a strategy for the values of a number's range, its ends often among them."""
    field = FIELDS[name]
    minimum, maximum, above = (field.metadata[key] for key in ("minimum", "maximum", "above"))
    if field.type is int:
        return st.integers(minimum, 10**6 if maximum is None else maximum) | st.just(minimum)
    bottom = above if minimum is None else minimum
    floats = st.floats(bottom, 1e30 if maximum is None else maximum, exclude_min=above is not None)
    floats = floats.filter(lambda value: value == 0 or value > 1.2e-38)  # others would be 0 in float32
    return floats if above is not None else floats | st.just(minimum)


@pytest.mark.parametrize("name", NUMBERS)
def test_resolve_value_within_the_range_is_accepted(name):
    @given(within(name))
    @quick
    def check(value):
        assert getattr(from_cli(**{name: value}).config, name) == value

    check()


@pytest.mark.parametrize("name", NUMBERS)
def test_resolve_value_outside_the_range_is_refused(name):
    field = FIELDS[name]
    minimum, maximum, above = (field.metadata[key] for key in ("minimum", "maximum", "above"))
    outside = []
    if field.type is int:
        outside += [st.integers(max_value=minimum - 1)]
        outside += [st.integers(min_value=2**31 if maximum is None else maximum + 1)]
    else:
        outside += [st.sampled_from([math.nan, math.inf, -math.inf, 10**400, -(10**400), 1e39, 1e-60])]
        outside += [st.floats(max_value=above)] if above is not None else [st.floats(max_value=minimum, exclude_max=True)]
        outside += [st.floats(min_value=maximum, exclude_min=True)] if maximum is not None else []

    @given(st.one_of(outside))
    @quick
    def check(value):
        with pytest.raises(UserError) as refusal:
            from_cli(**{name: value})
        assert flag_name(name) in refusal.value.problem

    check()


OPTIONS = {
    *(task.family.config for task in TASKS.values()),
    *(task.family.infer_options for task in TASKS.values()),
    RunOptions,
    EvaluationOptions,
}
ALL_NUMBERS = [
    (cls, field.name)
    for cls in sorted(OPTIONS, key=lambda cls: cls.__name__)
    for field in dataclasses.fields(cls)
    if value_type(field) in (int, float)
]


@pytest.mark.parametrize(("cls", "name"), ALL_NUMBERS, ids=lambda value: getattr(value, "__name__", value))
def test_check_values_number_beyond_64_bits_or_float32_is_refused_in_every_option(cls, name):
    (field,) = (field for field in dataclasses.fields(cls) if field.name == name)
    too_large = [10**400, -(10**400), 1e39, 1e400, math.nan]
    for value in too_large + ([2**63, -(2**63), 10**30] if value_type(field) is int else [1e-60]):
        with pytest.raises(UserError, match=flag_name(name)) as refusal:
            check_values(cls, {name: value}, "cli")
        assert len(refusal.value.problem) < 400


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_resolve_value_of_another_type_is_refused(name):
    wrong = {
        int: [True, 2.0, "2", None, [2], {}],
        float: [True, "0.5", None, [0.5]],
        str: [1, True, None, ["gan"], {"gan": 1}],
        bool: [0, 1, "true", None],
    }[value_type(FIELDS[name])]
    for value in wrong:
        if value is None and FIELDS[name].default is None:
            continue
        with pytest.raises(UserError) as refusal:
            resolve(GanConfig, {}, (), {name: value}, {})
        assert flag_name(name) in refusal.value.problem
        assert "config" in refusal.value.problem


def test_resolve_integer_for_a_float_is_converted():
    value = from_cli(penalty_weight=10, penalty="r1").config.penalty_weight
    assert isinstance(value, float)
    assert value == 10.0


@pytest.mark.parametrize("name", CHOICES)
def test_resolve_choice_is_accepted_and_others_refused(name):
    for value in FIELDS[name].metadata["choices"]:
        assert getattr(from_cli(**{name: value}).config, name) == value
    with pytest.raises(UserError) as refusal:
        from_cli(**{name: 7 if value_type(FIELDS[name]) is int else "nonsense"})
    assert all(str(value) in refusal.value.problem for value in FIELDS[name].metadata["choices"])


@pytest.mark.parametrize(
    ("name", "mistyped", "meant"),
    [
        ("loss", "wgna", "wgan"),
        ("loss", "wgan-gp", "wgangp"),
        ("norm", "spectrl", "spectral"),
        ("penalty", "twosided", "two-sided"),
    ],
)
def test_resolve_mistyped_choice_suggests_the_nearest(name, mistyped, meant):
    with pytest.raises(UserError, match=f"did you mean '{meant}'"):
        from_cli(**{name: mistyped})


def test_resolve_unknown_name_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'penalty'") as refusal:
        resolve_gan({}, {"penalti": "r1"}, {})
    assert "'penalti'" in refusal.value.problem
    assert "config" in refusal.value.problem


def test_suggest_nonsense_suggests_nothing():
    assert suggest("qqqq", ["wgan", "gan"]) == "choose one of: gan, wgan"


def test_option_unknown_argument_raises_type_error():
    with pytest.raises(TypeError, match="colour"):
        option(0, "a number", colour="red")


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        (ACTIVE, "r1", True),
        (ACTIVE, "none", False),
        (ACTIVE, 0.0, False),
        (ACTIVE, 0.5, True),
        (INACTIVE, "none", True),
        (INACTIVE, 0.1, False),
        (("a", "b"), "b", True),
        (("a", "b"), "c", False),
        ("a", "a", True),
        ("a", "b", False),
    ],
)
def test_holds_each_kind_of_condition(condition, value, expected):
    assert holds({"option": condition}, {"option": value}) is expected


def test_flag_name_has_dashes():
    assert flag_name("ema_half_life") == "--ema-half-life"
