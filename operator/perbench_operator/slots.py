"""Who may start a model now: at most so many benchmarks have one at once, first come, first served. Pure."""

from collections.abc import Mapping, Set
from datetime import datetime


def may_start(uid: str, holders: Set[str], waiting: Mapping[str, datetime], limit: int) -> bool:
    """Whether `uid` may start a model.

    `holders` have one already, and may go on. `waiting`: benchmarks that want one, with the start of their run; a run
    that started earlier goes first.
    """
    if uid in holders:
        return True
    free = limit - len(holders)
    queue = sorted((uid for uid in waiting if uid not in holders), key=lambda other: (waiting[other], other))
    return uid in queue[: max(0, free)]
