"""The pages are right: commands are valid, snippets run, links exist, and the scores are those of the cards."""

import dataclasses
import importlib
import importlib.util
import itertools
import re
import shlex
from pathlib import Path

import pytest

from gan_tf.cards import CARD, read_card
from gan_tf.cli import main, report
from gan_tf.cli.arguments import requested_task
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.gan.config import GAN_FAMILY
from gan_tf.options import flag_name
from gan_tf.shipped import SHIPPED
from gan_tf.tasks import TASKS, find_task

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKS = re.compile(r"[^!]\[[^\]]*\]\(([^)]+)\)")
EXPERIMENTS = ROOT / "docs/experiments"  # pages that experiments have written


def code_blocks(language: str) -> list[tuple[str, str]]:
    """Returns the code blocks of a language on all pages, each with the page's name."""
    pattern = re.compile(rf"```{language}\n(.*?)```", re.S)
    return [(page.name, block) for page in PAGES for block in pattern.findall(page.read_text())]


def commands() -> list[str]:
    """Returns the commands of all pages: the lines of bash blocks, and commands within a sentence."""
    lines = [line.split("#")[0].strip() for _, block in code_blocks("bash") for line in block.splitlines()]
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        lines += re.findall(r"`((?:python|bash|gan-tf) [^`]+)`", " ".join(text.split()))
    return sorted({line for line in lines if line})


def is_template(command: str) -> bool:
    """Returns whether a part of a command stands for something, as NAME in ``gan_tf.experiments.NAME``."""
    return command.split()[-1].endswith("NAME")


COMMANDS = [command for command in commands() if not is_template(command)]
SNIPPETS = code_blocks("python")


def check_subcommand(name: str, arguments: list[str]) -> None:
    """Parses the arguments of train.py, infer.py, evaluate.py or the report; raises a UserError if they are wrong."""
    if name == "report":
        report.build_parser().parse(arguments)
        return
    module = importlib.import_module(f"gan_tf.cli.{name}")
    module.build_parser(requested_task(arguments)).parse([word for word in arguments if word != "--help"])


def check_flags(source: str, arguments: list[str]) -> None:
    """Checks that the source code of a script defines the flags that it is given, by an argument or a field with options."""
    for flag in [word for word in arguments if word.startswith("--")]:
        field = rf"^    {flag.removeprefix('--').replace('-', '_')}: .+ = option\("
        assert f'"{flag}"' in source or re.search(field, source, flags=re.M), flag


@pytest.mark.parametrize("command", COMMANDS)
def test_page_command_is_valid(command):
    program, *words = shlex.split(command)
    if program == "bash":
        assert (ROOT / words[0]).is_file()
        return
    if program == "python" and words[0] == "-m" and words[1] != "gan_tf":
        spec = importlib.util.find_spec(words[1])
        assert spec is not None
        if words[1] == "gan_tf.report":
            check_subcommand("report", words[2:])
            return
        check_flags(Path(spec.origin).read_text(), words[2:])
        return
    if program == "python" and words[0] != "-m":
        assert (ROOT / words[0]).is_file()
        if words[0].startswith("benchmarks/"):
            check_flags((ROOT / words[0]).read_text(), words[1:])
        else:
            check_subcommand(Path(words[0]).stem, words[1:])
        return
    assert program in ("python", "gan-tf")
    subcommand = words[2:] if program == "python" else words
    if subcommand:
        assert subcommand[0] in main.COMMANDS
    if subcommand[1:]:
        check_subcommand(subcommand[0], subcommand[1:])


def test_pages_have_commands_and_snippets():
    assert len(COMMANDS) > 30
    assert any(command.startswith("python benchmarks/") for command in COMMANDS)
    assert len(SNIPPETS) >= 2


@pytest.mark.parametrize(("page", "code"), SNIPPETS, ids=lambda value: value if value.endswith(".md") else "")
def test_page_python_snippet_runs(page, code):
    names = {}
    exec(compile(code, page, "exec"), names)
    assert names["images"].shape == (16, 64, 64, 3)


def heading_names(page: str) -> set[str]:
    """Returns the names that a link can point to within a page, made of its headings as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page, flags=re.S)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_heading_names_are_those_of_github():
    page = "# Five: `code` & more\n## What it's for\n```\n# a comment\n```\n"
    assert heading_names(page) == {"five-code--more", "what-its-for"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_page_links_and_images_exist(page):
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in target]
    for target in targets:
        path, _, heading = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not heading or heading in heading_names(linked.read_text()), target


def options_with_choices() -> list[tuple[str, str]]:
    """Returns each flag with each of its choices, for all families, infer.py and evaluate.py."""
    families = {task.family.name: task.family for task in TASKS.values()}.values()
    classes = [EvaluationOptions, *(cls for family in families for cls in (family.config, family.infer_options))]
    fields = [field for cls in classes for field in dataclasses.fields(cls)]
    return sorted({(flag_name(field.name), choice) for field in fields for choice in field.metadata["choices"] or ()})


@pytest.mark.parametrize(("flag", "choice"), options_with_choices())
def test_options_page_explains_each_choice(flag, choice):
    page = (ROOT / "docs/options.md").read_text()
    section = page[page.index(f"| `{flag}` |") :]
    rows = [section.splitlines()[0], *itertools.takewhile(lambda row: row.startswith("| | "), section.splitlines()[1:])]
    assert any(f"`{choice}` |" in row for row in rows)


def test_pages_and_help_name_the_cache_folder(capsys):
    assert "GAN_TF_CACHE" in (ROOT / "docs/options.md").read_text()
    for command in ("train", "infer", "evaluate"):
        with pytest.raises(SystemExit):
            getattr(main, command)(["--help"])
        assert "GAN_TF_CACHE" in capsys.readouterr().out


def test_readme_links_to_every_page_and_shows_images():
    readme = (ROOT / "README.md").read_text()
    linked = {target.partition("#")[0] for target in LINKS.findall(readme)}
    assert {page.relative_to(ROOT).as_posix() for page in PAGES[1:] if page.parent != EXPERIMENTS} <= linked
    assert "samples/gan_original.png" in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme)


def test_options_page_links_to_what_experiments_have_written():
    linked = LINKS.findall((ROOT / "docs/options.md").read_text())
    written = [f"experiments/{page.name}" for page in PAGES if page.parent == EXPERIMENTS]
    assert written
    assert sorted(target for target in linked if target.startswith("experiments/")) == written


def test_code_that_contributing_names_exists():
    """Paths such as ``gan_tf/gan/losses.py`` and names in capitals such as ``LOSS_PRESETS``."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`((?:gan_tf|pipelines|tests|benchmarks)/[\w/]+(?:\.py|/))`", text)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
    source = "\n".join(path.read_text() for path in [*ROOT.glob("gan_tf/**/*.py"), *ROOT.glob("tests/**/*.py")])
    names = re.findall(r"`([A-Z][A-Z_]{4,})`", text)
    assert [name for name in names if not re.search(rf"^{name}\b", source, re.M)] == []


def table_rows(page: Path) -> dict[str, str]:
    """Returns the rows of a page's tables by the first name in code, such as ``anime/hinge``."""
    return {row.split("`")[1]: row for row in page.read_text().splitlines() if row.startswith("| `")}


def stages(card: dict) -> list[dict]:
    """Returns the stages that shipped weights went through, the last one last."""
    return [*card.get("initialized_from", []), card]


def shipped_weights() -> list[str]:
    """Returns the names of all shipped weights, such as ``anime/hinge``."""
    return sorted(card.parent.relative_to(SHIPPED).as_posix() for card in SHIPPED.rglob(CARD))


GANS = [path for path in shipped_weights() if find_task(path.split("/")[0]).family is GAN_FAMILY]


@pytest.mark.parametrize("weights", GANS)
def test_readme_scores_of_a_gan_are_those_of_its_card(weights):
    scores = read_card(SHIPPED / weights)["scores"]
    row = table_rows(ROOT / "README.md")[weights]
    assert f"FID {scores['fid']['value']:.1f}" in row
    assert f"KID {scores['kid']['value']:.3f}" in row
    assert f"precision {scores['precision']['value']:.2f}" in row
    assert f"recall {scores['recall']['value']:.2f}" in row
    if weights != "anime/wgangp":  # the row above it states the protocol and the baselines
        assert f"of {scores['fid']['protocol']['images']:,} images" in row
        assert f"{scores['fid']['baseline']['value']:.1f}" in row
    if "one_face" in scores:
        assert f"exactly one face in {scores['one_face']['value']:.1f} %" in row
        assert f"(real faces: {scores['one_face']['baseline']['value']:.1f})" in row
    if "anime_faces" in scores:
        assert f"{scores['anime_faces']['value']:.1f} of 25" in row
    if weights == "anime/hinge":
        assert f"real faces: {scores['anime_faces']['baseline']['value']:.1f}" in row
        assert f"mean of {scores['anime_faces']['protocol']['grids']} grids" in row


@pytest.mark.parametrize("task", TASKS)
def test_readme_says_for_which_tasks_weights_are_shipped(task):
    is_shipped = any(path.startswith(f"{task}/") for path in shipped_weights())
    assert table_rows(ROOT / "README.md")[task].endswith("| yes |" if is_shipped else "| not yet |")


def test_readme_accuracies_of_the_classifier_are_those_of_its_card():
    scores = read_card(SHIPPED / "digits" / "classifier")["scores"]
    row = table_rows(ROOT / "README.md")["digits/classifier"]
    assert f"{scores['mnist_accuracy']['value']:.2f} %" in row
    assert f"{scores['mnistm_accuracy']['value']:.2f} %" in row


@pytest.mark.parametrize("weights", [path for path in shipped_weights() if path.startswith("yosemite/")])
def test_readme_scores_of_translations_are_those_of_the_card(weights):
    """They are better than leaving the images as they are."""
    scores = read_card(SHIPPED / weights)["scores"]
    row = table_rows(ROOT / "README.md")[weights]
    for direction in ("AtoB", "BtoA"):
        translated, plain = (scores[f"kid_{direction}{end}"]["value"] for end in ("", "_untranslated"))
        assert translated < plain
        assert f"KID × 1000 {1000 * translated:.1f} (untranslated: {1000 * plain:.1f}" in row
        assert f"FID {scores[f'fid_{direction}']['value']:.1f}" in row


@pytest.mark.parametrize("weights", shipped_weights())
def test_pages_describe_the_training_of_the_card(weights):
    page, card = ROOT / "docs/weights.md", read_card(SHIPPED / weights)
    megabytes = (SHIPPED / weights / "weights.npz").stat().st_size / 1e6
    readme_row, row = table_rows(ROOT / "README.md")[weights], table_rows(page)[weights]
    assert f"{megabytes:.1f} MB" in readme_row
    minutes = [round(stage["seconds"] / 60) for stage in stages(card)]
    steps = " and ".join(f"{stage['step']:,}" for stage in stages(card))
    assert f"{sum(minutes)} minutes" in readme_row
    assert f"| {steps} | {' and '.join(map(str, minutes))}" in row
    lines = page.read_text().splitlines()
    assert [stage["command"] for stage in stages(card) if stage["command"] not in lines] == []
