"""The ways to do the training step otherwise: each is measured, and only where its first step's losses agree."""

import json

import pytest

from benchmarks import step_variants
from benchmarks._step_variants import VARIANTS


def test_wrong_words_get_one_line(capsys):
    for words in (["--losses", "nothing"], ["--only", "nothing"], ["--turns", "1"], ["--hidden-dim", "0"]):
        assert step_variants.main(words) == 2
        assert capsys.readouterr().err.startswith("error: --")


@pytest.mark.slow
def test_every_way_has_the_same_mathematics_in_float32(tmp_path, capfd):
    words = ["--hidden-dim", "4", "--precision", "float32", "--turns", "2", "--turn-seconds", "0.01"]
    assert step_variants.main([*words, "--json", str(tmp_path / "rows.json")]) == 0, capfd.readouterr().err
    cases = json.loads((tmp_path / "rows.json").read_text())["cases"]
    measured = [(case["variant"], case["config"]["loss"]) for case in cases]
    assert sorted(measured) == sorted((name, loss) for name, row in VARIANTS.items() for loss in row.losses)
    rows = [line for line in capfd.readouterr().out.splitlines() if line.startswith(("| yes", "| no"))]
    assert len(rows) == len(cases)
