"""Scores, their thresholds, and how they are written as a table and as JSON."""

import json
import subprocess
import sys

import pytest

from gan_tf.evaluation.report import protocol_line, render_table, to_json
from gan_tf.evaluation.scores import Score, Threshold, count_warning

PROTOCOL = {"extractor": "net", "weights_sha256": "ab" * 32, "images": 2500, "split": "", "seed": 2020}
SCORES = {
    "fid": Score(26.51, PROTOCOL, baseline=Score(18.75, PROTOCOL | {"images": 1000})),
    "kid": Score(0.00123, PROTOCOL | {"subsets": 100}, 0.0004),
}
THRESHOLDS = [Threshold("fid", "<=", 27, "H1 strong"), Threshold("fid", "<", 20, "own"), Threshold("absent", ">", 1, "H3")]


def test_to_json_holds_values_and_protocols():
    values = json.loads(to_json(SCORES, THRESHOLDS))
    assert values["fid"]["value"] == 26.51
    assert values["fid"]["protocol"] == PROTOCOL
    assert values["fid"]["baseline"]["value"] == 18.75
    assert values["kid"]["deviation"] == 0.0004
    assert [(entry["source"], entry["passed"]) for entry in values["thresholds"]] == [("H1 strong", True), ("own", False)]


def test_render_table_has_values_counts_baselines_and_thresholds():
    rows = render_table(SCORES, THRESHOLDS).splitlines()
    assert rows[2].split()[:5] == ["fid", "26.5100", "2,500", "18.7500", "(1,000)"]
    assert "<= 27 (H1 strong): passed; < 20 (own): not passed" in rows[2]
    assert "0.00123 ± 0.0004" in rows[3]
    assert rows[4:] == ["--verbose or --json FILE for the whole protocol"]


def test_render_table_verbose_has_one_protocol_line():
    rows = render_table(SCORES, THRESHOLDS, verbose=True).splitlines()
    assert [row for row in rows if row.startswith("protocol:")] == [rows[5]]
    assert "weights sha256 abababababab," in rows[5]
    assert "kid: subsets 100" in rows[5]
    assert "real images: images 1,000" in rows[5]


def test_render_table_repeated_warning_is_printed_once():
    few = PROTOCOL | {"warning": count_warning(1000, 5000)}
    assert render_table({"fid": Score(1.0, few), "kid": Score(1.0, few)}).count("fewer than 2,048") == 1
    assert count_warning(2048, 5000) is None


@pytest.mark.parametrize(
    ("relation", "below", "at", "above"),
    [("<", True, False, False), ("<=", True, True, False), (">", False, False, True), (">=", False, True, True)],
)
def test_threshold_passed_for_each_relation(relation, below, at, above):
    threshold = Threshold("s", relation, 20, "H3")
    assert (threshold.passed(19), threshold.passed(20), threshold.passed(21)) == (below, at, above)


@pytest.mark.parametrize("key", ["value", "protocol", "deviation", "baseline"])
@pytest.mark.parametrize("other", ["x", True, [], 5j])
def test_score_from_dict_other_types_raise_value_error(key, other):
    values = SCORES["fid"].to_dict() | {"deviation": 0.1}
    assert Score.from_dict(values) == Score(26.51, PROTOCOL, 0.1, SCORES["fid"].baseline)
    with pytest.raises(ValueError, match="a score"):
        Score.from_dict(values | {key: other})


@pytest.mark.parametrize("warning", [5, None, [], {}])
def test_score_from_dict_warning_that_is_no_text_raises_value_error(warning):
    with pytest.raises(ValueError, match="a warning is a text"):
        Score.from_dict({"value": 1, "protocol": {"warning": warning}})


def test_to_json_not_finite_number_raises_value_error():
    with pytest.raises(ValueError, match="JSON"):
        to_json({"fid": Score(float("nan"))})


def test_protocol_line_leaves_out_empty_values():
    assert protocol_line({"a": "", "b": 0, "warning": "w"}) == "b 0"


@pytest.mark.parametrize("module", ["scores", "report", "options"])
def test_import_loads_no_numpy(module):
    code = f"import sys, gan_tf.evaluation.{module}; sys.exit(not {{'tensorflow', 'keras', 'numpy'}}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
