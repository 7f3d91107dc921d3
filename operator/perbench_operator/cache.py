"""What the watches have brought: benchmarks as they are, their children cut down to what decisions need.

Events, lists and answers of the API arrive in any order: of one object the newest version counts, and what was deleted
does not come back.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from perbench.api.resource import KIND
from perbench.objects.progress import BenchProgress
from perbench_operator.names import BENCHMARK, ROLE, UID, Role
from perbench_operator.observed import Children, Job, Pod, read_job, read_pod, read_progress_object, uid_of

WATCHED = ("Job", "Pod", "ConfigMap")
"""Kinds of children that are watched; of ConfigMaps those for progress."""
REMEMBERED = 10_000
"""Deleted objects whose uids are remembered."""

logger = logging.getLogger("perbench_operator")
Body = dict[str, Any]


def utc_now() -> datetime:
    """The time of day. It labels, and it is what deadlines are held against, as the API's stamps are of this clock."""
    return datetime.now(UTC)


def selector(kind: str, uid: str | None = None) -> str:
    """The label selector of watched children: of one benchmark, or of all."""
    role = f",{ROLE}={Role.PROGRESS}" if kind == "ConfigMap" else ""
    return (UID if uid is None else f"{UID}={uid}") + role


def version_of(body: Body) -> int:
    """Resource versions of one kind rise (KEP-5504). 0: it has none."""
    text = str(body["metadata"].get("resourceVersion") or "0")
    return int(text) if text.isdecimal() else 0


def is_owned(body: Body, uid: str) -> bool:
    """Whether an object belongs to the benchmark with this uid. A label alone anybody can set."""
    owners = body["metadata"].get("ownerReferences") or ()
    return any(owner.get("kind") == KIND and owner.get("uid") == uid for owner in owners)


@dataclass(frozen=True, slots=True)
class _Child:
    """One object as it was last heard of."""

    uid: str
    version: int
    benchmark: str
    """The name of its benchmark."""
    value: Job | Pod | BenchProgress | None
    heard: datetime
    """When something was heard of it that tells that it lives: of a pod, that it runs now; of progress, a new word."""


_Key = tuple[str, str, str]
"""Kind, namespace and name."""


class Cache:
    """All that is known, by uid of the benchmark. Never asks the API."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self.benchmarks: dict[str, Body] = {}
        self._now = now
        self._children: dict[str, dict[_Key, _Child]] = {}
        self._gone = _Uids()
        self._unread = _Uids()
        """Objects that could not be read, and of which that was said."""

    def benchmark(self, event: str | None, body: Body) -> str | None:
        """Take an event of a benchmark, or the API's answer; its uid, if that is news."""
        uid: str = body["metadata"]["uid"]
        if event == "DELETED":
            return uid if self.gone(uid) else None
        known = self.benchmarks.get(uid)
        if uid in self._gone or (known is not None and version_of(body) < version_of(known)):
            return None
        self.benchmarks[uid] = body
        return uid if known is None or version_of(body) > version_of(known) else None

    def gone(self, uid: str) -> bool:
        """A benchmark is not there any more; whether that is news. Its children go in their own time."""
        news = uid not in self._gone
        self._gone.add(uid)
        self.benchmarks.pop(uid, None)
        return news

    def unlisted(self, namespace: str | None, uids: Collection[str], version: int) -> tuple[str, ...]:
        """Benchmarks of a namespace (None: all) from before a list, at `version`, of these `uids`, and not in it."""
        return tuple(
            uid
            for uid, body in self.benchmarks.items()
            if uid not in uids and namespace in {None, body["metadata"]["namespace"]} and version_of(body) <= version
        )

    def is_gone(self, uid: str) -> bool:
        """Whether a benchmark was deleted."""
        return uid in self._gone

    def forget(self, uid: str) -> None:
        """Drop the children of a benchmark that is not there any more."""
        self._children.pop(uid, None)

    def child(self, kind: str, event: str | None, body: Body) -> str | None:
        """Take an event of a Job, Pod or progress object, or the API's answer; the uid of its benchmark, if it is news.

        What is not of one of our runs is not taken, nor what cannot be read.
        """
        try:
            return self._child(kind, event, body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            metadata = body.get("metadata") or {}
            uid = str(metadata.get("uid"))
            if uid not in self._unread:
                self._unread.add(uid)
                where = f"{metadata.get('namespace')}/{metadata.get('name')}"
                logger.warning("%s %s: left out, it cannot be read (%s: %s)", kind, where, type(error).__name__, error)
            return None

    def _child(self, kind: str, event: str | None, body: Body) -> str | None:
        benchmark, metadata = uid_of(body), body["metadata"]
        if benchmark is None or not _is_ours(kind, body, benchmark):
            return None
        key = (kind, metadata.get("namespace", ""), metadata["name"])
        uid = metadata.get("uid", "")
        known = self._children.get(benchmark, {}).get(key)
        if event == "DELETED":
            self._gone.add(uid)
            if known is None or known.uid != uid:
                return None
            del self._children[benchmark][key]
            return benchmark
        if uid in self._gone or (known is not None and version_of(body) < known.version):
            return None
        name = (metadata.get("annotations") or {}).get(BENCHMARK, "")
        value = _read(kind, body)
        same = known is not None and known.uid == uid and _life(known.value) == _life(value)
        found = _Child(uid, version_of(body), name, value, known.heard if known and same else self._now())
        self._children.setdefault(benchmark, {})[key] = found
        news = known is None or (known.uid, _matter(known.value)) != (uid, _matter(found.value))
        return benchmark if news else None

    def replace(self, uid: str, kind: str, namespace: str, bodies: Iterable[Body], version: int) -> None:
        """What the API listed of one benchmark, at `version`, in place of what is known from before."""
        listed = tuple(bodies)
        names = {body["metadata"]["name"] for body in listed}
        known = self._children.get(uid, {})
        for key, child in list(known.items()):
            if key[:2] == (kind, namespace) and key[2] not in names and child.version <= version:
                del known[key]
        for body in listed:
            self.child(kind, None, body)

    def children(self, uid: str) -> Children:
        """What there is of a benchmark."""
        found = [(key[2], child.value, child.heard) for key, child in self._of(uid)]
        return Children.of(
            [value for _, value, _ in found if isinstance(value, Job)],
            [replace(value, heard=heard) for _, value, heard in found if isinstance(value, Pod)],
            {name: value for name, value, _ in found if isinstance(value, BenchProgress)},
            {name: heard for name, value, heard in found if isinstance(value, BenchProgress)},
        )

    def was_deaf(self, uid: str) -> None:
        """Nothing could be heard of a benchmark's children for a while: silence of theirs counts from now on."""
        known = self._children.get(uid, {})
        for key, child in known.items():
            known[key] = replace(child, heard=self._now())

    def places(self, uid: str) -> tuple[tuple[str, str], ...]:
        """Namespace and name of the benchmark: as it says, else as its children do."""
        body = self.benchmarks.get(uid)
        if body is not None:
            return ((body["metadata"]["namespace"], body["metadata"]["name"]),)
        return tuple(sorted({(key[1], child.benchmark) for key, child in self._of(uid)}))

    def holds(self, uid: str) -> bool:
        """Whether a benchmark has a model: a Job that is not over, or pods that are not.

        A pod that is lost with its node holds nothing that another model could have.
        """
        return any(_holds(child.value, self._now()) for _, child in self._of(uid))

    def holders(self) -> set[str]:
        """Benchmarks that have a model."""
        return {uid for uid in self._children if self.holds(uid)}

    def _of(self, uid: str) -> Iterator[tuple[_Key, _Child]]:
        """Children of a benchmark: where that is known, those in its namespace."""
        body = self.benchmarks.get(uid)
        for key, child in self._children.get(uid, {}).items():
            if body is None or key[1] in {body["metadata"]["namespace"], ""}:
                yield key, child


class _Uids:
    """The latest uids: so many that what still arrives of older ones cannot be."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}

    def add(self, uid: str) -> None:
        if uid:
            self._known.pop(uid, None)
            self._known[uid] = None
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]

    def __contains__(self, uid: str) -> bool:
        return uid in self._known


def _is_ours(kind: str, body: Body, benchmark: str) -> bool:
    """Pods belong to Jobs, so of those it is their namespace that tells."""
    if kind == "Pod":
        return True
    if kind == "ConfigMap" and (body["metadata"].get("labels") or {}).get(ROLE) != Role.PROGRESS:
        return False
    return is_owned(body, benchmark)


def _read(kind: str, body: Body) -> Job | Pod | BenchProgress | None:
    if kind == "Job":
        return read_job(body)
    return read_pod(body) if kind == "Pod" else read_progress_object(body)


def _matter(value: Job | Pod | BenchProgress | None) -> object:
    """What decisions depend on: of progress not the words, which change all the time."""
    if isinstance(value, BenchProgress):
        return (value.round, value.attempt, value.state, value.recorded, value.failure)
    return value


def _life(value: Job | Pod | BenchProgress | None) -> object:
    """What of an object tells that somebody lives, or has begun to."""
    if isinstance(value, BenchProgress):
        return value.updated_at
    return value.running if isinstance(value, Pod) else None


def _holds(value: Job | Pod | BenchProgress | None, now: datetime) -> bool:
    if isinstance(value, Job):
        return value.role == Role.MODEL and not value.finished
    return isinstance(value, Pod) and value.role == Role.MODEL and not (value.over or value.is_lost(now))
