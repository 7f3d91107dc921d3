"""Standard output of a run. A rim: the reader of a pipe may leave, a terminal may be closed, and the run goes on."""

import contextlib
import io
import os
from typing import TYPE_CHECKING, TextIO

from typing_extensions import override

if TYPE_CHECKING:
    from typing_extensions import Buffer


class _Lasting(io.RawIOBase):
    """Bytes to a descriptor for as long as somebody takes them. Hours of measurement do not end for a lost pipe."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    @override
    def fileno(self) -> int:
        return self._descriptor

    @override
    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: "Buffer", /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        with contextlib.suppress(OSError):
            while left:
                left = left[os.write(self._descriptor, left) :]
        return size


def lasting(stream: TextIO | None) -> TextIO:
    """The same stream, written to at once, on which no write fails. None (the shell closed it): one to nowhere."""
    if stream is None:
        raw, encoding = _Lasting(os.open(os.devnull, os.O_WRONLY)), "utf-8"
    else:
        stream.flush()
        raw, encoding = _Lasting(stream.fileno()), stream.encoding
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", write_through=True)
