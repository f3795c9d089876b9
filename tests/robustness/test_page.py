"""docs/robustness.md has the rows and columns that the tests define, and only what they count."""

import re
from pathlib import Path

import pytest
from helpers.drills import DRILLS, KINDS, PAGE, Tally, read_cells, read_table, render_page

from gan_tf.tasks import TASKS

HERE = Path(__file__).parent


def test_page_has_a_row_for_each_kind_and_a_column_for_each_family():
    header, _, *rows = read_table(PAGE.read_text(encoding="utf-8"))
    assert header == ["", *DRILLS]
    assert [row[0] for row in rows] == list(KINDS.values())
    cells = [cell for row in rows for cell in row[1:]]
    assert all(re.fullmatch(r"\d+ of \d+|–", cell) for cell in cells)
    assert PAGE.read_text(encoding="utf-8") == render_page(read_cells(PAGE))  # the words around them too


def test_drills_cover_every_family_and_every_kind_has_a_test():
    assert set(DRILLS) == {task.family.name for task in TASKS.values()}
    assert all(TASKS[drill.task].family.name == family for family, drill in DRILLS.items())
    marks = [re.findall(r'mark\.drill\("(.+?)"\)', path.read_text(encoding="utf-8")) for path in HERE.glob("test_*.py")]
    assert {kind for found in marks for kind in found} == set(KINDS)


def test_tally_counts_what_failed_as_tried_only():
    tally = Tally()
    with tally.trial("full disk", "gan", 3):
        pass
    with pytest.raises(ZeroDivisionError), tally.trial("full disk", "gan"):
        raise ZeroDivisionError
    assert tally.cells() == {("full disk", "gan"): "3 of 4"}


def test_render_page_keeps_what_a_run_did_not_try(tmp_path):
    (tmp_path / "page.md").write_text(render_page({("full disk", "gan"): "3 of 4", ("full disk", "dann"): "9 of 9"}))
    page = render_page(read_cells(tmp_path / "page.md") | {("full disk", "dann"): "1 of 1"})
    cells = {(row[0], family): cell for row in read_table(page)[2:] for family, cell in zip(DRILLS, row[1:], strict=True)}
    found = {key: cell for key, cell in cells.items() if cell != "–"}
    assert found == {(KINDS["full disk"], "gan"): "3 of 4", (KINDS["full disk"], "dann"): "1 of 1"}
    assert len(cells) == len(KINDS) * len(DRILLS)
