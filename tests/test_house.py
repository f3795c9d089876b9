"""Imports go downwards, as the table of rooms in CONTRIBUTING.md says."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted([*ROOT.glob("*.py"), *ROOT.glob("gan_tf/**/*.py"), *ROOT.glob("pipelines/**/*.py")])


def rooms() -> list[tuple[list[str], str]]:
    """The table's rows, the upper ones first: the rooms of each, and what they may import."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Rooms")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return [([room_of(name) for name in re.findall(r"`([^`]+)`", first)], last.strip()) for first, _, last in rows]


def room_of(name: str) -> str:
    """The room that a path belongs to: "gan_tf/files.py" and "files.py" are files, train.py is a door."""
    path = name.removeprefix("gan_tf/").strip("/").split("/")[0].removesuffix(".py")
    return "doors" if path in ("train", "infer", "evaluate") and "/" not in name else path


def allowed() -> dict[str, set[str]]:
    """From each room to those it may import."""
    rows, found = rooms(), {}
    leaves = next(names for names, _ in rows if "settings" in names)
    for n, (names, words) in enumerate(rows):
        below = {room for others, _ in rows[n + 1 :] for room in others}
        may = set(re.findall(r"`([^`]+)`", words)) | ({*leaves} if "leaves" in words else set())
        may = {room_of(word.removeprefix("gan_tf.")) for word in may - {"gan_tf"}}
        may |= below if "everything below" in words else set()
        assert may <= below | {*names}, f"{names} may import what stands above"
        found |= {name: may | {*names} for name in names}
    return found


def imported(module: Path) -> set[str]:
    """The rooms that a module imports from, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"gan_tf.{a.name}" for a in node.names} if node.module == "gan_tf" else {node.module}
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
    ours = [name.split(".") for name in names if name.split(".")[0] in ("gan_tf", "pipelines")]
    return {parts[1] if parts[0] == "gan_tf" and len(parts) > 1 else parts[0] for parts in ours} - {"gan_tf"}


def test_every_module_stands_in_the_table():
    found = {room_of(module.relative_to(ROOT).as_posix()) for module in MODULES}
    assert found - {"__init__"} == set(allowed()) - {"weights"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.relative_to(ROOT).as_posix())
def test_imports_go_downwards(module):
    name = room_of(module.relative_to(ROOT).as_posix())
    assert imported(module) <= allowed().get(name, set())
