"""Scores as records and as a table."""

import json

import pytest

from gan_tf.evaluation.scores import Line, Score, count_warning, protocol_line, render, to_json

PROTOCOL = {"extractor": "net", "weights_sha256": "ab" * 32, "images": 2500, "split": "", "seed": 2020}
SCORES = {
    "fid": Score(26.51, PROTOCOL, floor=Score(18.75, PROTOCOL | {"images": 1000})),
    "kid": Score(0.00123, PROTOCOL | {"subsets": 100}, 0.0004),
}
LINES = [Line("fid", "<=", 27, "H1 strong"), Line("fid", "<", 20, "own"), Line("absent", ">", 1, "H3")]


def test_the_record_is_value_and_protocol():
    record = json.loads(to_json(SCORES, LINES))
    assert record["fid"]["value"] == 26.51
    assert record["fid"]["protocol"] == PROTOCOL
    assert record["fid"]["floor"]["value"] == 18.75
    assert record["kid"]["deviation"] == 0.0004
    assert [(line["source"], line["met"]) for line in record["lines"]] == [("H1 strong", True), ("own", False)]


def test_the_table_has_values_floors_lines_and_one_protocol_line():
    text = render(SCORES, LINES)
    rows = text.splitlines()
    assert rows[2].split()[:3] == ["fid", "26.5100", "18.7500"]
    assert "<= 27 (H1 strong): met; < 20 (own): not met" in rows[2]
    assert "0.00123 ± 0.0004" in rows[3]
    assert [row for row in rows if row.startswith("protocol:")] == [rows[4]]
    assert "weights sha256 abababababab," in rows[4]
    assert "kid: subsets 100" in rows[4]
    assert "real images: images 1,000" in rows[4]


def test_warnings_stand_under_the_table_once():
    few = PROTOCOL | {"warning": count_warning(1000, 5000)}
    assert render({"fid": Score(1.0, few), "kid": Score(1.0, few)}).count("fewer than 2,048") == 1
    assert count_warning(2048, 5000) is None


@pytest.mark.parametrize(
    ("relation", "below", "at", "above"),
    [("<", True, False, False), ("<=", True, True, False), (">", False, False, True), (">=", False, True, True)],
)
def test_lines(relation, below, at, above):
    line = Line("s", relation, 20, "H3")
    assert (line.met(19), line.met(20), line.met(21)) == (below, at, above)


def test_a_number_that_is_not_finite_is_never_written():
    with pytest.raises(ValueError, match="JSON"):
        to_json({"fid": Score(float("nan"))})


def test_empty_values_are_left_out():
    assert protocol_line({"a": "", "b": 0, "warning": "w"}) == "b 0"
