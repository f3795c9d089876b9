"""Where an experiment may write its page."""

import pytest

from gan_tf.experiments.arguments import check_page
from gan_tf.experiments.page import Page
from pipelines.errors import UserError


def test_check_page_replaces_pages_of_experiments_only(tmp_path):
    check_page(tmp_path / "new/page.md")
    assert list(tmp_path.iterdir()) == []
    page = Page(tmp_path / "page.md", "Title", "python -m gan_tf.experiments.tips --data DIR")
    page.write()
    check_page(tmp_path / "page.md")
    (tmp_path / "README.md").write_text("# Mine, which names python -m gan_tf.experiments.tips\n")
    with pytest.raises(UserError, match=r"--table .*README.md exists already and is no page of an experiment"):
        check_page(tmp_path / "README.md", "--table")


def test_page_of_a_name_that_is_no_utf8_is_written(tmp_path):
    page = Page(tmp_path / "page.md", "Title", "python -m gan_tf.experiments.tips")
    page.add("weights gesichter\udce4")
    page.write()
    assert "gesichter\\udce4" in (tmp_path / "page.md").read_text(encoding="utf-8")
