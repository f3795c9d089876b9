"""Standard streams that may be closed, missing, full or unable to show a character: none of it decides whether work is done."""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TextIO


class TolerantStream(io.TextIOBase):
    """Writes to another stream as long as that works, and remembers the first error.

    Args:
        stream: what is written to; None drops everything.
    """

    def __init__(self, stream: TextIO | None):
        self.stream = stream
        self.error: Exception | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream, or UTF-8."""
        return (None if self.stream is None else self.stream.encoding) or "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Writes text; what the stream's encoding cannot show is written as escapes."""
        self._try("write", text.encode(self.encoding, "backslashreplace").decode(self.encoding, "replace"))
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def isatty(self) -> bool:
        return self._try("isatty") is True

    def fileno(self) -> int:
        if self.stream is None:
            raise io.UnsupportedOperation("fileno")
        return self.stream.fileno()

    def _try(self, method: str, *arguments: str) -> Any:
        """Calls a method of the stream; after an error nothing more is tried."""
        if self.stream is None or self.error is not None:
            return None
        try:
            return getattr(self.stream, method)(*arguments)
        except AttributeError:  # a stream of somebody's own, such as one without isatty
            return None
        except (OSError, ValueError) as error:  # a full disk, a closed pipe, or a closed file
            self.error = error
            return None


@dataclass(frozen=True)
class Streams:
    """The streams of a command."""

    out: TolerantStream
    err: TolerantStream


@contextlib.contextmanager
def tolerant_streams() -> Iterator[Streams]:
    """Replaces ``sys.stdout`` and ``sys.stderr``, and shows warnings on one line; afterwards all is as before.

    A stream that has failed is closed then, since Python would fail again when the process ends.
    """
    _open_missing_descriptors()
    former, former_showwarning = (sys.stdout, sys.stderr), warnings.showwarning
    streams = Streams(TolerantStream(sys.stdout), TolerantStream(sys.stderr))
    sys.stdout, sys.stderr = streams.out, streams.err
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        yield streams
    finally:
        streams.out.flush()
        streams.err.flush()
        warnings.showwarning = former_showwarning
        sys.stdout, sys.stderr = former
        for stream in (streams.out, streams.err):
            if stream.error is not None and stream.stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.stream.close()


def _open_missing_descriptors() -> None:
    """Opens the null device in the place of closed standard streams, since the next file would get their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
