"""What becomes of an output directory that already holds something. Pure: the moves are data, `store` makes them.

An unfinished run of the same runID goes on. A finished one moves to `DIR/RUNID`, and a new one starts. What belongs to
another run moves aside likewise: figures of two runs are never mixed, and none are deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from perbench.results import Results, TaskRecord

RESULTS = "results.json"
STATUS = "status.yaml"
REPORT = "report.html"
STAGES = "stages"
PLANS = "work"
LOGS = "logs"

ENTRIES = (STAGES, PLANS, LOGS, STATUS, REPORT, RESULTS)
"""What a run owns in its directory, in the order it is moved. The results go last: while they stand, a move that was
cut short is known as one, and is completed by the next command."""

UNIDENTIFIED = "unidentified"
"""Where stages without a results.json go: nobody can say what they measured."""


@dataclass(frozen=True)
class Found:
    """What stands in the directory before anything is started."""

    results: Results | None
    entries: frozenset[str]
    """Those of `ENTRIES` that exist."""
    archives: Mapping[str, bool]
    """Other directories in it; whether each holds results, that is, whether its move was completed."""


@dataclass(frozen=True)
class Identity:
    """What must be the same for stored stages to belong to this run."""

    run_id: str
    tasks: tuple[TaskRecord, ...]
    sources: Mapping[str, Mapping[str, JsonValue]]
    """By model: file, sha256, revision or url."""
    substitutions: Mapping[str, str | None]
    """By model: the runtime that was asked for, where another one serves."""
    provenance: Mapping[str, JsonValue]
    """Machine and software: another kernel or package half-way would change the figures."""


@dataclass(frozen=True)
class Disposition:
    """What to do with the directory. `moves` are (from, to), relative to it, in order."""

    continues: bool
    moves: tuple[tuple[str, str], ...] = ()
    sentence: str | None = None
    """What the user is told, in one line."""


def decide(found: Found, identity: Identity) -> Disposition:
    """Say whether what is there goes on, or moves aside and where to."""
    if not found.entries:
        return Disposition(continues=False)
    previous = found.results
    if previous is None:
        return _aside(found, UNIDENTIFIED, "stages without a results.json moved to {}")
    if previous.completion_time is not None:
        return _aside(found, previous.run_id, "the finished run moved to {}")
    if previous.run_id != identity.run_id:
        return _aside(found, previous.run_id, "an unfinished run of another spec moved to {}")
    if different := differences(previous, identity):
        return _aside(
            found, previous.run_id, f"the unfinished run moved to {{}}, as it differs in {', '.join(different)}"
        )
    return Disposition(continues=True, sentence="an unfinished run continues after its last finished stage")


def differences(previous: Results, identity: Identity) -> tuple[str, ...]:
    """Name what changed since the stored stages were measured, though the spec is the same."""
    named = [
        f"task {now.name}"
        for now in identity.tasks
        if next((then for then in previous.tasks if then.name == now.name), None) != now
    ]
    for model in previous.models:
        source = identity.sources.get(model.name)
        if source is None or dict(source) != dict(model.source):
            named.append(f"the files of model {model.name}")
        elif identity.substitutions.get(model.name) != model.substituted_for:
            named.append(f"the runtime of model {model.name}")
    then, now = previous.provenance, identity.provenance
    return (*named, *(fact for fact in dict.fromkeys([*then, *now]) if then.get(fact) != now.get(fact)))


def _aside(found: Found, name: str, sentence: str) -> Disposition:
    archive = _archive(name, found.archives)
    moves = tuple((entry, f"{archive}/{entry}") for entry in ENTRIES if entry in found.entries)
    return Disposition(continues=False, moves=moves, sentence=sentence.format(archive))


def _archive(name: str, archives: Mapping[str, bool]) -> str:
    """Find the first free name: `name`, `name-2`, … An archive without results is one whose move was cut short."""
    candidate, number = name, 1
    while archives.get(candidate, False) or (name == UNIDENTIFIED and candidate in archives):
        number += 1
        candidate = f"{name}-{number}"
    return candidate
