"""Checkpoints: folders that are whole or not there, verified by a manifest of SHA-256 before they are used.

A checkpoint is written as ``step-N.tmp`` (tensors by ``tf.train.Checkpoint``, then ``state.json``, then
``manifest.json``), every file and the folder flushed to the disk, then renamed. The newest is the highest number whose
manifest holds; damaged ones are passed over with a warning.
"""

import hashlib
import json
import os
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import tensorflow as tf

from gan_tf.utils.files import readable_failures, sync
from gan_tf.utils.tf_errors import readable_tensorflow_failures
from pipelines.errors import InputError

NAME = re.compile(r"step-(\d{9})")


def sha256(path: Path) -> str:
    """The hexadecimal digest of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie; made when the first is written.
        trackable: what is saved: a ``keras.Model`` or anything that ``tf.train.Checkpoint`` follows.
        keep: how many of the newest stay.
        keep_every: a step that is a multiple of this stays for good (0: none does).
    """

    def __init__(self, folder: Path, trackable: Any, keep: int = 3, keep_every: int = 0):
        self.folder, self.keep, self.keep_every = Path(folder), keep, keep_every
        self.tensors = tf.train.Checkpoint(method=trackable)

    def save(self, step: int, state: dict[str, Any] | None = None) -> Path:
        """Writes the checkpoint of ``step`` (updates done so far) with a small JSON ``state`` beside the tensors.

        Raises:
            InputError: on a full disk or a folder that can't be written; no half-written checkpoint stays.
        """
        final = self.folder / f"step-{step:09d}"
        with readable_failures(final):
            self.folder.mkdir(parents=True, exist_ok=True)
            beside = final.with_suffix(".tmp")
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            try:
                self.write(beside, step, state or {})
                shutil.rmtree(final, ignore_errors=True)
                os.rename(beside, final)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise
            sync(self.folder)
            self.prune()
        return final

    def write(self, folder: Path, step: int, state: dict[str, Any]) -> None:
        """All files of a checkpoint, the manifest last, each flushed to the disk."""
        with readable_tensorflow_failures(folder):
            self.tensors.write(str(folder / "tensors"))
        (folder / "state.json").write_text(json.dumps({**state, "step": step}))
        manifest = {path.name: sha256(path) for path in sorted(folder.iterdir())}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        for path in sorted(folder.iterdir()):
            sync(path)
        sync(folder)

    def steps(self) -> list[int]:
        """The steps at which there is a folder, whole or damaged, in rising order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(m[1]) for p in self.folder.iterdir() if (m := NAME.fullmatch(p.name)))

    def prune(self) -> None:
        """Removes all but the newest few and those kept for good."""
        for step in self.steps()[: -self.keep]:
            if not (self.keep_every and step % self.keep_every == 0):
                shutil.rmtree(self.folder / f"step-{step:09d}")

    def newest(self) -> int | None:
        """The newest step whose manifest holds; warns of each damaged one passed over. None: there is none."""
        for step in reversed(self.steps()):
            fault = damage(self.folder / f"step-{step:09d}")
            if fault is None:
                return step
            warnings.warn(f"checkpoint of step {step} is damaged ({fault}); the one before it is used", stacklevel=2)
        return None

    def restore(self, step: int) -> dict[str, Any]:
        """Reads the checkpoint of ``step`` into the trackable and returns its state.

        Raises:
            InputError: where it doesn't fit what it is restored into.
        """
        folder = self.folder / f"step-{step:09d}"
        try:
            self.tensors.read(str(folder / "tensors")).assert_consumed().assert_existing_objects_matched()
        except (AssertionError, ValueError) as error:
            given = f"{folder} doesn't fit this program's networks ({str(error).splitlines()[0]})"
            raise InputError(given, "a checkpoint of the same settings and version", "start a new run") from error
        return json.loads((folder / "state.json").read_text())

    def discard_after(self, step: int) -> None:
        """Removes damaged checkpoints newer than ``step``, which the resumed run will write again."""
        for newer in self.steps():
            if newer > step:
                shutil.rmtree(self.folder / f"step-{newer:09d}")


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint folder, in a few words; None if it is whole."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if not isinstance(manifest, dict) or "state.json" not in manifest:
            return "its manifest is incomplete"
        for name, digest in manifest.items():
            if sha256(folder / name) != digest:
                return f"{name} has changed"
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None
