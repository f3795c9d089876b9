"""The table and the picture of a comparison: order, best row, what is missing, what the protocol says."""

import json

import numpy as np
import pytest

from gan_tf.experiments.recipe_table import RESULTS, SAMPLES, page, ranked, read, write
from gan_tf.utils.images import write_png
from pipelines.errors import InputError


def score(fid, step=100, seconds=600.0):
    protocol = {"name": "inception", "protocol": "pytorch-fid", "resize": "bilinear", "warning": None}
    networks = {"generator": 1_500_000, "discriminator": 700_000}
    more = {"kid": 0.1, "images": 2000, "seed": 0, "parameters": networks, "protocol": protocol}
    return {"fid": fid, "step": step, "seconds": seconds, **more}


def row(half=None, full=None, diverged=None, **settings):
    made = {"about": "a recipe", "flags": {"loss": "gan"}, "settings": {"batch": 64, "seed": 0, **settings}}
    made |= {"half": score(half)} if half else {}
    made |= {"full": score(full, 2500, 1200.0)} if full else {}
    return made | ({"diverged": {"step": diverged, "words": "D's loss was not finite"}} if diverged else {})


def record(**rows):
    machine = {"cpu": "Some CPU", "cores": 4, "threads": 2}
    data = {"path": "/secret/faces", "name": "faces", "count": 25000, "digest": "d"}
    return {"task": "anime", "minutes": 20.0, "machine": machine, "data": data, "rows": rows}


ROWS = {"lost": row(diverged=1234), "b": row(90, 80.04), "half": row(half=50), "a": row(95, 70), "late": row(60, diverged=99)}


def test_rows_come_by_full_fid_then_half(tmp_path):
    assert [name for name, _ in ranked({**ROWS, "begun": row()})] == ["a", "b", "half", "late", "lost"]


def test_the_lines_of_the_table():
    lines = page(record(**ROWS), ["a", "b"], None).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[0].endswith("| FID at 10 min | FID at 20 min |")
    assert "images (steps × batch)" in table[0]
    assert table[2] == "| **a** | `--loss gan` | 2,500 | 160,000 | 0.480 | 1.50 M | 0.70 M | 95.0 | **70.0** |"
    assert table[3] == "| b | `--loss gan` | 2,500 | 160,000 | 0.480 | 1.50 M | 0.70 M | 90.0 | 80.0 |"
    assert table[4].endswith("| 50.0 | – |")
    assert table[5].endswith("| 60.0 | diverged at step 99 |")
    assert table[6] == "| lost | `--loss gan` | – | – | – | – | – | diverged at step 1,234 | diverged at step 1,234 |"
    assert {line.count("|") for line in table} == {10}


def test_what_is_missing_is_named():
    assert "Not measured to the end yet: c, half." in page(record(**ROWS), ["a", "c"], None)
    assert "Not measured" not in page(record(a=row(95, 70), b=row(diverged=3)), ["a", "b"], None)


def test_the_protocol_says_how():
    text = page(record(**ROWS), [], "recipes.png")
    for words in (
        "25,000 training images (`faces`)",
        "20 minutes of training by the clock on Some CPU, 2 of 4 cores, in float32",
        "2,000 images of the averaged generator",
        "inception, pytorch-fid (bilinear)",
        "fewer than 2,048 images",
        "--data DIR --task anime --minutes 20\n",
        "](recipes.png)",
    ):
        assert words in text
    assert "/secret" not in text
    assert "![" not in page(record(**ROWS), [], None)
    said = row(95, 70, precision="float32") | {"flags": {"precision": "float32"}}
    assert "in bfloat16 where the flags don't say it, one run" in page(
        record(a=said, b=row(95, 80, precision="bfloat16")), [], None
    )
    assert "in the precision that the flags say, one run" in page(record(a=said), [], None)


def test_the_picture_has_a_row_of_samples_a_recipe_in_the_tables_order(tmp_path):
    from PIL import Image

    (tmp_path / RESULTS).write_text(json.dumps(record(**ROWS)))
    for shade, name in enumerate(("a", "b", "half")):
        write_png(tmp_path / name / SAMPLES, np.full((8, 64, 3), 50 * shade, np.uint8))
    table = tmp_path / "docs/recipes.md"
    assert write(tmp_path, table, ["a"]) == [table, table.with_suffix(".png")]
    picture = np.asarray(Image.open(table.with_suffix(".png")))
    assert picture.shape[0] == 24
    for shade in range(3):
        assert (picture[8 * shade : 8 * shade + 8, -64:] == 50 * shade).all()
    assert (picture[:24, :-64] < 128).any()  # names, black on white
    assert "](recipes.png)" in table.read_text()
    assert sorted(p.name for p in table.parent.iterdir()) == ["recipes.md", "recipes.png"]


def test_without_results_nothing_is_written(tmp_path):
    assert write(tmp_path, tmp_path / "t.md", ["a"]) == []
    (tmp_path / RESULTS).write_text(json.dumps(record(begun=row())))
    assert write(tmp_path, tmp_path / "t.md", ["a"]) == []
    assert not (tmp_path / "t.md").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"task": "anime"}'])
def test_a_damaged_record_is_refused(tmp_path, text):
    (tmp_path / RESULTS).write_text(text)
    with pytest.raises(InputError, match="can't be read"):
        read(tmp_path)
