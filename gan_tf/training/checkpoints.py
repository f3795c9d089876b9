"""Checkpoints: folders that are complete or absent, verified by a SHA-256 manifest before they are used.

A checkpoint is written as ``step-N.tmp`` (tensors by ``tf.train.Checkpoint``, then ``state.json``, then
``manifest.json``); every file and the folder are flushed to the disk before the folder is renamed. The newest one is the
highest number whose manifest is right; damaged ones are skipped with a warning.
"""

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from gan_tf.utils.files import file_errors, fsync_path, read_json
from gan_tf.utils.tf_errors import tensorflow_file_errors, tensorflow_path
from pipelines.errors import UserError

_NAME = re.compile(r"step-(\d{9})")


class Checkpoints:
    """The checkpoints of one run.

    Args:
        directory: where they lie; created with the first one.
        model: what is saved: a ``keras.Model`` or anything else that ``tf.train.Checkpoint`` tracks.
        keep: how many of the newest are kept.
        keep_every: the checkpoint of a step that is a multiple of this is kept permanently (0: none is).
    """

    def __init__(self, directory: Path, model: Any, keep: int = 3, keep_every: int = 0):
        self.directory, self.keep, self.keep_every = Path(directory), keep, keep_every
        self._tensors = tf.train.Checkpoint(model=model)

    def path(self, step: int) -> Path:
        """Returns the folder of the checkpoint of ``step``, which may not exist."""
        return self.directory / f"step-{step:09d}"

    def save(self, step: int, state: Mapping[str, Any] | None = None) -> Path:
        """Writes the checkpoint of ``step`` (the number of steps done) with a small JSON ``state``; returns its folder.

        Raises:
            UserError: the disk is full, or the folder cannot be written; no partial checkpoint is left behind.
        """
        final = self.path(step)
        with file_errors(final):
            self.directory.mkdir(parents=True, exist_ok=True)
            temporary = final.with_suffix(".tmp")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            try:
                self._write_files(temporary, step, state or {})
                shutil.rmtree(final, ignore_errors=True)
                os.rename(temporary, final)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            fsync_path(self.directory)
            self._remove_old()
        return final

    def _write_files(self, directory: Path, step: int, state: Mapping[str, Any]) -> None:
        """Writes all files of a checkpoint, the manifest last, and flushes each to the disk."""
        with tensorflow_file_errors(directory), tensorflow_path(directory) as path:
            self._tensors.write(str(path / "tensors"))
        (directory / "state.json").write_bytes(json.dumps({**state, "step": step}).encode())
        manifest = {path.name: _sha256(path) for path in sorted(directory.iterdir())}
        (directory / "manifest.json").write_bytes(json.dumps(manifest).encode())
        for path in sorted(directory.iterdir()):
            fsync_path(path)
        fsync_path(directory)

    def steps(self) -> list[int]:
        """Returns the steps for which there is a folder, valid or damaged, in ascending order."""
        if not self.directory.is_dir():
            return []
        matches = [_NAME.fullmatch(path.name) for path in self.directory.iterdir()]
        return sorted(int(match[1]) for match in matches if match)

    def _remove_old(self) -> None:
        """Removes all but the newest and those that are kept permanently."""
        for step in self.steps()[: -self.keep]:
            if not (self.keep_every and step % self.keep_every == 0):
                shutil.rmtree(self.path(step))

    def newest(self) -> int | None:
        """Returns the newest step with a valid checkpoint, or None; warns about each damaged one that it skips."""
        for step in reversed(self.steps()):
            damage = find_damage(self.path(step))
            if damage is None:
                return step
            warnings.warn(f"the checkpoint of step {step} is damaged ({damage}) and is skipped", stacklevel=2)
        return None

    def restore(self, step: int, run_id: str | None = None) -> dict[str, Any]:
        """Reads the checkpoint of ``step`` into the model and returns its state.

        Args:
            step: the number of steps done.
            run_id: the identity of the run whose checkpoint this must be; None takes that of any run.

        Raises:
            UserError: it does not match the model, or it is that of another run.
        """
        try:
            with tensorflow_path(self.path(step)) as path:
                self._tensors.read(str(path / "tensors")).assert_consumed().assert_existing_objects_matched()
        except (AssertionError, ValueError) as error:
            problem = f"{self.path(step)} does not match this model ({str(error).splitlines()[0]})"
            hint = "Use the configuration and the version of gan_tf that wrote it, or start a new run"
            raise UserError(problem, hint) from error
        except (tf.errors.OpError, IndexError) as error:  # TensorFlow finds less or other bytes than it wrote
            problem = f"{self.path(step)} is damaged ({type(error).__name__})"
            raise UserError(problem, "Remove it, or put the files back that were written there") from error
        state = read_json(self.path(step) / "state.json")
        if run_id is not None and state.get("run_id") != run_id:
            problem = f"{self.path(step)} belongs to another run than {self.directory.parent}"
            raise UserError(problem, "Put the checkpoints of this run back, or name the other one")
        return state

    def discard_after(self, step: int) -> None:
        """Removes the damaged checkpoints after ``step``, which the resumed run will write again, and unfinished ones."""
        with file_errors(self.directory):
            for newer in self.steps():
                if newer > step:
                    shutil.rmtree(self.path(newer))
            for unfinished in self.directory.glob("step-*.tmp"):
                shutil.rmtree(unfinished)


def find_damage(directory: Path) -> str | None:
    """Returns what is wrong with the folder of a checkpoint, in a few words; None if it is valid."""
    try:
        manifest = read_json(directory / "manifest.json")
        if not isinstance(manifest, dict) or "state.json" not in manifest:
            return "its manifest is incomplete"
        for name, digest in manifest.items():
            if _sha256(directory / name) != digest:
                return f"{name} has changed"
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
