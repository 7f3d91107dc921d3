"""Lines of the log, in the two shapes that launcher and router write, plain and JSON. Pure.

The message comes first in neither shape, and JSON has two: the launcher's under `fields`, the router's at the top.
"""

from dataclasses import dataclass
from datetime import datetime

from tests.images.tgi_contract.wire import dump

COLOURS = {"INFO": 32, "WARN": 33, "ERROR": 31}
LAUNCHER, ROUTER, BACKEND = "text_generation_launcher", "text_generation_router::server", "text_generation_router_v3"


@dataclass(frozen=True)
class Line:
    """One message. `span`: the launcher's step it belongs to; `rank`: of the shard."""

    message: str
    level: str = "INFO"
    target: str = LAUNCHER
    span: str | None = None
    rank: int | None = None


def render(line: Line, now: datetime, *, as_json: bool) -> str:
    """The line as it is written at `now` (UTC)."""
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return _json(line, stamp) if as_json else _plain(line, stamp)


def _json(line: Line, stamp: str) -> str:
    value: dict[str, object] = {"timestamp": stamp, "level": line.level}
    if line.target != LAUNCHER:
        return dump({**value, "message": line.message, "target": line.target}).decode() + "\n"
    value |= {"fields": {"message": line.message}, "target": line.target}
    if line.span is not None:
        span = {**({"rank": line.rank} if line.rank is not None else {}), "name": line.span}
        value |= {"span": span, "spans": [span]}
    return dump(value).decode() + "\n"


def _plain(line: Line, stamp: str) -> str:
    dim, end = "\x1b[2m", "\x1b[0m"
    span = f"\x1b[1m{line.span}{end}: " if line.span is not None else ""
    rank = f" {dim}\x1b[3mrank{end}{dim}={end}{line.rank}{end}" if line.rank is not None else ""
    level = f"\x1b[{COLOURS[line.level]}m{line.level:>5}{end}"
    return f"{dim}{stamp}{end} {level} {span}{dim}{line.target}{end}{dim}:{end} {line.message}{rank}\n"
