"""Server-sent events out of a stamped body (WHATWG HTML §9.2), after the fact.

An event can be read when its blank line has arrived, so it carries the stamp of the read that brought it.
"""

from bisect import bisect_left
from itertools import accumulate

Pieces = list[tuple[int, bytes]]


def events(pieces: Pieces, *, flush: bool) -> list[tuple[int, bytes]]:
    """(stamp, data) of each event with data, comments and other fields left out.

    `flush`: the body is known to be whole, so a last event without its blank line counts too.
    """
    body = b"".join(piece for _, piece in pieces)
    ends = list(accumulate(len(piece) for _, piece in pieces))
    found: list[tuple[int, bytes]] = []
    for end, block in _blocks(body, flush=flush):
        data = _data(block)
        if data is not None:
            found.append((pieces[bisect_left(ends, end)][0], data))
    return found


def only_comments(piece: bytes) -> bool:
    """Whether a piece of a body has nothing but comments and empty lines, as TGI and proxies send while they wait."""
    return piece[:1] in b":\r\n" and all(line[:1] in b":" for line in piece.splitlines())


def _blocks(body: bytes, *, flush: bool) -> list[tuple[int, bytes]]:
    """(offset just after the blank line, lines) of each event; line ends are LF, CRLF or CR."""
    if b"\r" in body:
        return _blocks_any_line_end(body, flush=flush)
    blocks: list[tuple[int, bytes]] = []
    start = 0
    while (end := body.find(b"\n\n", start)) >= 0:
        blocks.append((end + 2, body[start:end]))
        start = end + 2
    if flush and start < len(body):
        blocks.append((len(body), body[start:]))
    return blocks


def _blocks_any_line_end(body: bytes, *, flush: bool) -> list[tuple[int, bytes]]:
    blocks: list[tuple[int, bytes]] = []
    lines: list[bytes] = []
    position = 0
    for line in body.splitlines(keepends=True):  # for bytes: LF, CR and CRLF only, as the standard has it
        position += len(line)
        text = line.rstrip(b"\r\n")
        if text:
            lines.append(text)
        elif lines:
            blocks.append((position, b"\n".join(lines)))
            lines = []
    if flush and lines:
        blocks.append((position, b"\n".join(lines)))
    return blocks


def _data(block: bytes) -> bytes | None:
    """The data lines of one event, joined; None when there are none."""
    if block.startswith(b"data:") and b"\n" not in block:
        return block[6:] if block[5:6] == b" " else block[5:]
    data = []
    for line in block.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if line.startswith(b"data:"):
            value = line[5:]
            data.append(value.removeprefix(b" "))
        elif line == b"data":
            data.append(b"")
    return b"\n".join(data) if data else None
