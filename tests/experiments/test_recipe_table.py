"""The table and the image of a comparison: order, best row, what is missing, and how the protocol is described."""

import json

import numpy as np
import pytest
from PIL import Image

from gan_tf.experiments.recipe_record import FORMAT, RESULTS, SAMPLES, read_record
from gan_tf.experiments.recipe_table import rank_rows, render_page, write_table
from gan_tf.utils.images import write_png
from pipelines.errors import UserError


def build_score(fid, step=100, seconds=600.0):
    protocol = {"name": "inception", "protocol": "pytorch-fid", "resize": "bilinear", "warning": None}
    parameters = {"generator": 1_500_000, "discriminator": 700_000}
    facts = {"kid": 0.1, "images": 2000, "seed": 0, "parameters": parameters, "protocol": protocol}
    return {"fid": fid, "step": step, "seconds": seconds, **facts}


def build_row(half=None, full=None, diverged=None, precision="float32", flags=None):
    config = {"batch": 64, "seed": 0, "precision": precision}
    row = {"about": "a recipe", "flags": flags or {"loss": "gan"}, "config": config}
    if half:
        row["half"] = build_score(half)
    if full:
        row["full"] = build_score(full, 2500, 1200.0)
    if diverged:
        row["diverged"] = {"step": diverged, "quantity": "D's loss"}
    return row


def build_record(**rows):
    machine = {"cpu": "Some CPU", "cores": 4, "threads": 2}
    data = {"path": "/secret/faces", "name": "faces", "count": 25000, "digest": "d"}
    return {"format": FORMAT, "task": "anime", "minutes": 20.0, "machine": machine, "data": data, "rows": rows}


ROWS = {
    "lost": build_row(diverged=1234),
    "b": build_row(90, 80.04),
    "half": build_row(half=50),
    "a": build_row(95, 70),
    "late": build_row(60, diverged=99),
}


def test_rank_rows_orders_by_full_fid_then_half():
    assert [name for name, _ in rank_rows({**ROWS, "started": build_row()})] == ["a", "b", "half", "late", "lost"]


def test_render_page_has_one_line_per_row():
    lines = render_page(build_record(**ROWS), ["a", "b"], None).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[0].endswith("| FID at 10 min | FID at 20 min |")
    assert "images (steps × batch)" in table[0]
    assert table[2] == "| **a** | `--loss gan` | 2,500 | 160,000 | 0.480 | 1.50 M | 0.70 M | 95.0 | **70.0** |"
    assert table[3] == "| b | `--loss gan` | 2,500 | 160,000 | 0.480 | 1.50 M | 0.70 M | 90.0 | 80.0 |"
    assert table[4].endswith("| 50.0 | – |")
    assert table[5].endswith("| 60.0 | diverged at step 99 |")
    assert table[6] == "| lost | `--loss gan` | – | – | – | – | – | diverged at step 1,234 | diverged at step 1,234 |"
    assert {line.count("|") for line in table} == {10}


def test_render_page_unfinished_rows_are_listed():
    assert "Not measured to the end yet: c, half." in render_page(build_record(**ROWS), ["a", "c"], None)
    finished = build_record(a=build_row(95, 70), b=build_row(diverged=3))
    assert "Not measured" not in render_page(finished, ["a", "b"], None)


@pytest.mark.parametrize(
    "part",
    [
        "25,000 training images (`faces`)",
        "20 minutes of training by wall clock on Some CPU, 2 of 4 cores, in float32",
        "2,000 images of the EMA generator",
        "inception, pytorch-fid (bilinear)",
        "fewer than 2,048 images",
        "--data DIR --task anime --minutes 20\n",
        "](recipes.png)",
    ],
)
def test_render_page_describes_protocol(part):
    assert part in render_page(build_record(**ROWS), [], "recipes.png")


def test_render_page_names_neither_data_path_nor_missing_image():
    page = render_page(build_record(**ROWS), [], None)
    assert "/secret" not in page
    assert "![" not in page


def test_render_page_precision_flag_is_told_from_the_default():
    flagged = build_row(95, 70, flags={"precision": "float32"})
    both = build_record(a=flagged, b=build_row(95, 80, precision="bfloat16"))
    assert "in bfloat16 where the flags do not set the precision, one run" in render_page(both, [], None)
    assert "in the precision of the flags, one run" in render_page(build_record(a=flagged), [], None)


def test_write_table_image_has_samples_in_table_order(tmp_path):
    (tmp_path / RESULTS).write_text(json.dumps(build_record(**ROWS)))
    for shade, name in enumerate(("a", "b", "half")):
        write_png(tmp_path / name / SAMPLES, np.full((8, 64, 3), 50 * shade, np.uint8))
    table = tmp_path / "docs/recipes.md"
    assert write_table(tmp_path, table, ["a"]) == [table, table.with_suffix(".png")]
    image = np.asarray(Image.open(table.with_suffix(".png")))
    assert image.shape[0] == 24
    for shade in range(3):
        assert (image[8 * shade : 8 * shade + 8, -64:] == 50 * shade).all()
    assert (image[:24, :-64] < 128).any()  # names, black on white
    assert "](recipes.png)" in table.read_text()
    assert sorted(path.name for path in table.parent.iterdir()) == ["recipes.md", "recipes.png"]


def test_write_table_without_results_writes_nothing(tmp_path):
    assert write_table(tmp_path, tmp_path / "t.md", ["a"]) == []
    (tmp_path / RESULTS).write_text(json.dumps(build_record(started=build_row())))
    assert write_table(tmp_path, tmp_path / "t.md", ["a"]) == []
    assert not (tmp_path / "t.md").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"task": "anime"}', json.dumps({**build_record(), "format": 1})])
def test_read_record_damaged_or_old_raises_user_error(tmp_path, text):
    (tmp_path / RESULTS).write_text(text)
    with pytest.raises(UserError, match=r"cannot be read|is not the record"):
        read_record(tmp_path)
