"""The variants of the training step: each is measured, and only if the losses of its first step agree."""

import json

import pytest

from benchmarks import step_variants
from benchmarks._step_variants import VARIANTS


@pytest.mark.parametrize(
    "arguments", [["--losses", "nothing"], ["--only", "nothing"], ["--turns", "1"], ["--hidden-dim", "0"]], ids=" ".join
)
def test_step_variants_wrong_argument_is_one_line(arguments, capsys):
    assert step_variants.main(arguments) == 2
    output = capsys.readouterr().err
    assert output.startswith(f"error: {' '.join(arguments)} is not valid")
    assert output.count("\n") == 1


@pytest.mark.slow
def test_step_variants_in_float32_compute_the_same_step(tmp_path, capfd):
    arguments = ["--hidden-dim", "4", "--precision", "float32", "--turns", "2", "--turn-seconds", "0.01"]
    assert step_variants.main([*arguments, "--json", str(tmp_path / "rows.json")]) == 0, capfd.readouterr().err
    cases = json.loads((tmp_path / "rows.json").read_text())["cases"]
    measured = [(case["variant"], case["config"]["loss"]) for case in cases]
    assert sorted(measured) == sorted((name, loss) for name, variant in VARIANTS.items() for loss in variant.losses)
    rows = [line for line in capfd.readouterr().out.splitlines() if line.startswith(("| yes", "| no"))]
    assert len(rows) == len(cases)
