"""Which actions of a decision may be carried out at the same time. Pure."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from perbench_operator.decide.begin import Check
from perbench_operator.decide.situation import Action, Create
from perbench_operator.names import ROLE, Role


def waves(actions: Sequence[Action]) -> Iterator[tuple[Action, ...]]:
    """Actions that may be carried out at the same time, wave after wave: what is made together does not depend on each
    other, except that a RoleBinding needs its Role, and a Job all that its pods use."""
    for kind, group in groupby(actions, key=type):
        members = tuple(group)
        if issubclass(kind, Check):
            yield members
        elif kind is Create:
            late = tuple(a for a in members if isinstance(a, Create) and a.manifest["kind"] in {"Job", "RoleBinding"})
            yield from (wave for wave in (tuple(a for a in members if a not in late), late) if wave)
        else:
            yield from ((action,) for action in members)


def makes_model(action: object) -> bool:
    """Whether it starts a model."""
    if not isinstance(action, Create):
        return False
    labels = action.manifest["metadata"].get("labels") or {}
    return action.manifest["kind"] == "Job" and labels.get(ROLE) == Role.MODEL
