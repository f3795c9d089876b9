"""The one error for what the user can fix: wrong usage, bad input, a full disk. Free of TensorFlow."""

import itertools
import lzma
import re
import tarfile
import zipfile
import zlib

# What NumPy, zipfile, tarfile, json and Pillow raise for files that are damaged or of another kind (found by changing every
# byte in turn); RecursionError and NotImplementedError are kinds of RuntimeError.
READ_ERRORS = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, MemoryError, SyntaxError, OverflowError),
    *(zipfile.BadZipFile, zipfile.LargeZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
)
_CODE = re.compile(r"\[user-error:(\d+)\]")
_SHOWN_CHARACTERS = 60
_numbers = itertools.count()
_raised_in_graph: dict[int, "UserError"] = {}


class UserError(Exception):
    """A problem that the user can fix. The command line prints it as one line and exits with code 2.

    Args:
        problem: one sentence without its period: what is wrong with which value, and what would be right.
        hint: one sentence without its period: how to fix it.
    """

    def __init__(self, problem: str, hint: str):
        self.problem, self.hint = problem, hint
        super().__init__(f"{problem}. {hint}.".replace("\n", " "))


def shorten(text: str) -> str:
    """Returns a text for a message, which one with thousands of characters would fill."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def counted(number: int, noun: str) -> str:
    """Returns a number and what it counts: "1 image", "2,000 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def graph_error(error: UserError) -> RuntimeError:
    """Returns an exception for Python code that runs in a TensorFlow graph to raise in place of ``error``.

    A graph turns every exception into one of its own that keeps nothing but the text. So the text begins with a code,
    by which ``user_error_from`` finds the original.
    """
    number = next(_numbers)
    _raised_in_graph[number] = error
    return RuntimeError(f"[user-error:{number}] {error}")


def user_error_from(error: Exception) -> UserError | None:
    """Returns the ``UserError`` behind an error that a graph of this process raised; None for any other error."""
    code = _CODE.search(str(error))
    return _raised_in_graph.get(int(code[1])) if code else None
