"""The files that the benchmark of the input makes, and what it refuses."""

import pytest

from benchmarks import input as benchmark


def test_files_are_multiplied_in_turn(tmp_path):
    source = [tmp_path / "a.png", tmp_path / "b.jpg"]
    for path in source:
        path.write_text(path.name)
    many = tmp_path / "many"
    many.mkdir()
    benchmark.multiply_files(source, many, 2001)
    made = sorted(path for path in many.rglob("*.*"))
    assert len(made) == 2001
    assert [path.relative_to(many).as_posix() for path in (made[0], made[1001], made[2000])] == [
        "000/0000000.png",
        "001/0001001.jpg",
        "002/0002000.png",
    ]
    assert [path.read_text() for path in made[:3]] == ["a.png", "b.jpg", "a.png"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--turns", "1"], "--turns 1"),
        (["--files", "-1"], "--files -1"),
        (["--data", "{image_dir}/missing"], "missing"),
        (["--loss", "hnge"], "hnge"),
    ],
)
def test_what_cannot_be_measured_is_one_line(words, named, image_dir, capsys):
    words = [word.format(image_dir=image_dir) for word in words]
    assert benchmark.main([*(["--data", str(image_dir)] if "--data" not in words else []), *words]) == 2
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1


def test_a_folder_too_large_to_hold_is_not_called_held(image_dir, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "IN_MEMORY", 1000)
    assert benchmark.main(["--data", str(image_dir)]) == 2
    assert "do not fit" in capsys.readouterr().err
