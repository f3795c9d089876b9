"""The page of a run: complete, self-contained, escaped, bounded, and made of whatever the folder still holds."""

import base64
import io
import json
import os
import re

import pytest
from helpers.run_folders import Page, write_image, write_json, write_run
from PIL import Image

from gan_tf.report import page
from gan_tf.report.gallery import MAX_FIGURES, MAX_GRIDS
from gan_tf.report.page import write_run_page
from gan_tf.tasks import TASKS
from pipelines.errors import UserError

HOSTILE = "</script><img src=x onerror=alert(1)><script>alert(2)</script>\"'&{{ 7 * 7 }}"


def open_image(uri: str) -> Image.Image:
    kind, encoded = re.fullmatch(r"data:image/(\w+);base64,(.+)", uri).groups()
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    image.load()
    assert image.format.lower() == kind
    return image


@pytest.mark.parametrize("name", sorted(TASKS))
def test_run_page_of_every_task_is_complete_and_self_contained(tmp_path, name, read_page):
    task = TASKS[name]
    folder = write_run(tmp_path / "000-a-b", task)
    shown = read_page(folder, name)
    figures = task.family.figures(task.family.resolve(task, {}, {}).config)
    assert shown.errors == []
    images = shown.find("img")
    assert len(images) == 3 + len(figures.beside) + len(figures.others)
    for attributes in images:
        image = open_image(attributes["src"])
        assert (attributes["width"], attributes["height"]) == (str(image.width), str(image.height)) == ("64", "64")
        assert len(attributes["alt"]) > 10
    for figure in (*figures.beside, *figures.others):
        assert figure.missing not in shown.text
        assert figure.title in shown.text
    links = [attributes[key] for _, attributes in shown.elements for key in ("src", "href", "action") if key in attributes]
    assert all(link.startswith(("data:", "#")) for link in links)
    anchors = {link[1:] for link in links if link.startswith("#")}
    assert anchors <= {attributes.get("id") for _, attributes in shown.elements}
    assert f"python train.py --task {name} --resume {folder} --steps N" in shown.text.replace("  ", " ")
    assert "finished after 300 steps" in shown.text
    assert "1,930 parameters, 1,920 of them trainable" in shown.text
    for threshold in task.thresholds:
        verdict = "passed" if threshold.passed(50.0) else "not passed"
        assert f"{threshold.relation} {threshold.bound:g} ({threshold.source}): {verdict}" in shown.text


def test_run_page_has_the_points_of_the_curves(run, read_page):
    charts = json.loads(read_page(run).scripts[0])
    (losses,) = [chart for chart in charts if chart["title"] == "Losses"]
    (line,) = losses["lines"]
    steps, values = line["points"]
    assert steps == list(range(10, 301, 10))
    assert values == [float(f"{1 / n:.6g}") for n in range(1, 31)]
    assert line["lowest"] == {"step": 300, "value": 0.0333333}


def test_run_page_names_a_threshold_without_its_score(tmp_path, read_page):
    """A face detector's score alone must not look as if the FID had been passed too."""
    folder = write_run(tmp_path / "run", TASKS["face"])
    scores = json.loads((folder / "scores.json").read_text())
    missing = [threshold for threshold in TASKS["face"].thresholds if threshold.score == "fid"]
    assert "Not scored, though asked for" not in read_page(folder, "face").text
    write_json(folder / "scores.json", {name: score for name, score in scores.items() if name != "fid"})
    shown = read_page(folder, "face")
    assert missing
    for threshold in missing:
        assert f"fid {threshold.relation} {threshold.bound:g} ({threshold.source})" in shown.text
    assert shown.texts.count("not scored") == len(missing)


def test_run_page_has_the_lowest_fid_of_any_step(run, read_page):
    """The best weights' card is written before the last step is scored: the curve knows more."""
    lines = [json.dumps({"step": step, "fid_train": value}) + "\n" for step, value in ((290, 50.0), (300, 41.9))]
    with open(run / "metrics.jsonl", "a") as file:
        file.writelines(lines)
    assert "41.9 at step 300" in read_page(run).text


def test_run_page_lists_changed_options_first(tmp_path, read_page):
    folder = write_run(tmp_path / "run", TASKS["mnist"], loss="lsgan", g_lr=0.001)
    rows = [text for text in read_page(folder, "mnist").texts if text.startswith("--")]
    assert set(rows[:4]) == {"--loss", "--latent-dim", "--hidden-dim", "--g-lr"}
    assert rows[4] == "--flip"
    assert "--seed" in rows[5:]


def test_run_page_of_an_experiments_own_task_lists_no_commands_that_do_not_know_it(tmp_path, read_page):
    folder = write_run(tmp_path / "run", TASKS["mnist"])
    assert "python infer.py" in read_page(folder, "mnist").text
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, "command": "python -m gan_tf.experiments.stacked_mnist --data DIR"})
    text = read_page(folder, "mnist").text
    assert "python -m gan_tf.experiments.stacked_mnist --data DIR" in text
    assert "tensorboard --logdir" in text
    for name in ("train.py", "infer.py", "evaluate.py", "-m gan_tf.report"):
        assert f"python {name}" not in text


def test_run_page_escapes_every_text(tmp_path, read_page):
    """A hostile name, command, caption, curve, layer or digest stays a text: no element and no script comes of it."""
    folder = write_run(tmp_path / "<b onclick=alert(3)>&", TASKS["diffusion"])
    plain = read_page(write_run(tmp_path / "plain", TASKS["diffusion"]))
    config = json.loads((folder / "config.json").read_text())
    config["command"] = HOSTILE
    config["data"]["path"] = HOSTILE
    config["data"]["sources"]["real"] |= {"name": HOSTILE, "digest": HOSTILE}
    config["environment"] |= {"code": HOSTILE, "versions": {HOSTILE: HOSTILE}, "devices": [HOSTILE]}
    config["sources"]["seed"] = HOSTILE
    write_json(folder / "config.json", config)
    write_json(folder / "figures/figures.json", {"confusion.png": HOSTILE})
    write_json(
        folder / "networks.json", {HOSTILE: {"parameters": 1, "trainable": 1, "layers": [[HOSTILE, HOSTILE, HOSTILE, 1]]}}
    )
    write_json(folder / "scores.json", {HOSTILE: {"value": 1.0, "protocol": {HOSTILE: HOSTILE, "warning": HOSTILE}}})
    lines = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(lines + json.dumps({"step": 310, HOSTILE: 1.0}) + "\n")
    shown = read_page(folder)
    assert shown.errors == []
    assert len(shown.find("script")) == len(plain.find("script"))
    assert len(shown.find("img")) == len(plain.find("img"))
    assert not any(key.startswith("on") for _, attributes in shown.elements for key in attributes)
    assert shown.text.count(" ".join(HOSTILE.split())) > 8
    assert any(chart["title"] == HOSTILE for chart in json.loads(shown.scripts[0]))


@pytest.mark.parametrize("name", ["anime", "yosemite", "diffusion", "dann", "digits"])
def test_run_page_names_each_missing_figure_in_words(tmp_path, name, read_page):
    task = TASKS[name]
    folder = write_run(tmp_path / "run", task, grids=0)
    figures = task.family.figures(task.family.resolve(task, {}, {}).config)
    for figure in (*figures.beside, *figures.others):
        (folder / figure.file).unlink()
    shown = read_page(folder, name)
    assert shown.find("img") == []
    for figure in (figures.grid, *figures.beside, *figures.others):
        assert figure.missing in shown.text


def test_run_page_of_a_run_that_has_just_started(tmp_path, read_page):
    folder = write_run(tmp_path / "run", TASKS["anime"])
    for file in sorted(folder.rglob("*"), reverse=True):
        if file.is_file() and file.name != "config.json":
            file.unlink()
    shown = read_page(folder, "anime")
    assert shown.errors == []
    assert "at step 0 of 300: still training, or stopped" in shown.text
    for sentence in ("There are no curves yet", "These weights have not been scored", "There is no summary of the networks"):
        assert sentence in shown.text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("name", ["card.json", "scores.json", "networks.json", "failure.json", "figures/figures.json"])
def test_run_page_says_which_file_is_damaged(run, read_page, name, content):
    (run / name).write_bytes(content)
    shown = read_page(run)
    assert shown.errors == []
    assert f"{name} cannot be read (" in shown.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("card.json", {"step": "many"}),
        *[("card.json", {"step": 1, "images_seen": 64, "seconds": seconds}) for seconds in (float("nan"), -1.0, 10**30)],
        ("scores.json", {"fid": {"value": "low", "protocol": {}}}),
        ("scores.json", {"fid": {"value": 1, "protocol": {"images": "many"}}}),
        ("networks.json", {"generator": 3}),
        ("networks.json", {"generator": {"parameters": 1, "trainable": 1, "layers": [["a", "b", "c", "many"]]}}),
        ("failure.json", {"step": 3}),
        ("figures/figures.json", {"../images/reals.png": "outside of the folder"}),
    ],
)
def test_run_page_says_which_file_holds_something_else(run, read_page, name, content):
    write_json(run / name, content)
    assert f"{name} cannot be read (ValueError), so what it says is left out." in read_page(run).text


def test_run_page_of_a_folder_whose_name_is_no_utf8(tmp_path, read_page):
    folder = write_run(tmp_path / os.fsdecode(b"000-\xff-images"), TASKS["anime"])
    assert "000-?-images" in read_page(folder, "anime").text


def test_run_page_leaves_damaged_images_out(run, read_page):
    whole = (run / "images/step-000000200.png").read_bytes()
    (run / "images/step-000000200.png").write_bytes(whole[: len(whole) // 2])
    (run / "figures/confusion.png").write_bytes(b"no image")
    shown = read_page(run)
    assert "Left out: images/step-000000200.png cannot be read (" in shown.text
    assert "figures/confusion.png cannot be read (UnidentifiedImageError)." in shown.text
    assert [attributes["data-step"] for attributes in shown.find("img") if "data-step" in attributes] == ["100", "300"]


def test_run_page_without_curves_file_or_with_a_folder_in_its_place(run, read_page):
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").mkdir()
    assert "metrics.jsonl cannot be read (IsADirectoryError)" in read_page(run).text


def test_run_page_shows_figures_that_no_family_declares(run, read_page):
    write_image(run / "figures/extra.png", 7)
    write_json(run / "figures/figures.json", {"extra.png": "what somebody has drawn", "gone.png": "and removed"})
    text = read_page(run).text
    assert "extra.png. What somebody has drawn" in text
    assert "figures/gone.png is missing." in text


def test_run_page_of_a_run_that_diverged_says_where(run, read_page):
    write_json(run / "failure.json", {"kind": "non-finite", "step": 123, "quantity": "the gradient norm of D"})
    assert "ended at step 123: the gradient norm of D is not finite" in read_page(run).text


def test_run_page_is_bounded(tmp_path, read_page):
    """Random pixels are the worst case: no format makes them smaller."""
    folder = write_run(tmp_path / "run", TASKS["anime"], grids=0)
    for number in range(1, 61):
        write_image(folder / f"images/step-{number:09d}.png", number, (400, 400))
    for number in range(20):
        write_image(folder / f"figures/{number:02d}.png", number, (500, 500))
    shown = read_page(folder, "anime")
    steps = [int(attributes["data-step"]) for attributes in shown.find("img") if "data-step" in attributes]
    assert MAX_GRIDS / 2 <= len(steps) <= MAX_GRIDS
    assert (steps[0], steps[-1]) == (1, 60)
    assert len(shown.find("img")) - len(steps) == MAX_FIGURES + 1
    assert f"{len(steps)} of 60 grids are in this page" in shown.text
    assert "figures/19.png is in the run's folder" in shown.text
    assert (folder / "report.html").stat().st_size < 12e6


def test_run_page_that_cannot_be_made_leaves_the_former_one(run, monkeypatch):
    written = write_run_page(TASKS["diffusion"], run).read_bytes()

    def fail(*_):
        raise RuntimeError("no page")

    monkeypatch.setattr(page, "render_run_page", fail)
    with pytest.raises(RuntimeError):
        write_run_page(TASKS["diffusion"], run)
    assert (run / "report.html").read_bytes() == written
    assert not list(run.glob(".*tmp"))


def test_run_page_of_another_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="so it is not a run folder"):
        write_run_page(TASKS["anime"], tmp_path)


def test_run_page_script_policy_allows_its_own_scripts_only(run):
    shown = Page(write_run_page(TASKS["diffusion"], run).read_text())
    (policy,) = [attributes["content"] for attributes in shown.find("meta") if "http-equiv" in attributes]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert len(re.findall(r"'sha256-[\w+/=]{44}'", policy)) == 2
    assert "script-src 'unsafe-inline'" not in policy
