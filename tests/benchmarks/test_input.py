"""The files that the benchmark of the input creates, and the arguments that it refuses."""

import pytest

from benchmarks import input as benchmark


def test_multiply_files_repeats_sources_in_turn(tmp_path):
    source = [tmp_path / "a.png", tmp_path / "b.jpg"]
    for path in source:
        path.write_text(path.name)
    many = tmp_path / "many"
    many.mkdir()
    benchmark.multiply_files(source, many, 2001)
    files = sorted(path for path in many.rglob("*.*"))
    assert len(files) == 2001
    assert [path.relative_to(many).as_posix() for path in (files[0], files[1001], files[2000])] == [
        "000/0000000.png",
        "001/0001001.jpg",
        "002/0002000.png",
    ]
    assert [path.read_text() for path in files[:3]] == ["a.png", "b.jpg", "a.png"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--turns", "1"], "--turns 1"),
        (["--files", "-1"], "--files -1"),
        (["--data", "{image_dir}/missing"], "missing"),
        (["--loss", "hnge"], "hnge"),
    ],
)
def test_input_wrong_argument_is_one_line(arguments, named, image_dir, capsys):
    arguments = ["--data", "{image_dir}", *arguments]  # the last --data counts
    assert benchmark.main([argument.format(image_dir=image_dir) for argument in arguments]) == 2
    output = capsys.readouterr().err
    assert named in output
    assert output.count("\n") == 1


def test_input_images_larger_than_memory_budget_are_refused(image_dir, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "MEMORY_BUDGET", 1000)
    assert benchmark.main(["--data", str(image_dir)]) == 2
    assert "do not fit" in capsys.readouterr().err
