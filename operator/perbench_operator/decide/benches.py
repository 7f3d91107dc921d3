"""What became of the bench pod of a launch, attempt by attempt. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from perbench.api.execution import Deadlines
from perbench.failures import MESSAGE_LIMIT, Blame, Failure, shorten
from perbench.objects.progress import BenchProgress, BenchState
from perbench_operator.decide.pods import PodsState, Step, pods_state
from perbench_operator.names import Role
from perbench_operator.observed import LOST_SECONDS, Children, Job, Pod

LAST_WORD_SECONDS = 60.0
"""A bench pod that ended well is listed again, with its last word, well within this."""
SILENT_SECONDS = 600.0
"""A bench pod says at least once a minute that it is there: one that has not for so long hangs."""
SILENT = f"has said nothing for {SILENT_SECONDS:g} s"
FINAL = frozenset({BenchState.FINISHED, BenchState.FAILED})


@dataclass(frozen=True)
class BenchTurn:
    """What the bench pod of a launch is at, or needs."""

    final: BenchProgress | None = None
    """It has said its last word."""
    create: int | None = None
    """The attempt that is to be started now."""
    failure: Failure | None = None
    """It cannot be had."""
    message: str = ""
    wake_after: float | None = None
    lost: str = ""
    """How the attempt before `create` was lost."""
    hung: Pod | None = None
    """It has fallen silent, and is to be deleted: it ends no other way, and may load the model still."""


def bench_turn(
    children: Children, launch: str, round_: int, object_name: str, retries: int, deadlines: Deadlines, now: datetime,
) -> BenchTurn:  # fmt: skip
    """What to do about the bench pod of a launch whose model runs.

    `object_name`: of the model's progress object, whichever round and attempt it is about.
    """
    progress = children.progress.get(object_name)
    own = progress if progress is not None and progress.round == round_ else None
    jobs = children.benches(launch)
    newest = jobs[-1] if jobs else None
    if own is not None and own.state in FINAL and (newest is None or own.attempt >= (newest.attempt or 0)):
        return BenchTurn(final=own)
    following = 1 + max([own.attempt if own else -1, *(job.attempt or 0 for job in jobs)])
    if left_over := [pod for pod in children.pods if _is_left_over(pod, launch, jobs)]:
        return _until_gone(left_over, "a former", now)
    if newest is None:
        return BenchTurn(create=following, message="starting the bench pod")
    said = children.heard.get(object_name) if own is not None and own.attempt == newest.attempt else None
    return _of_attempt(children, newest, said, following, len(jobs), retries, deadlines, now)


def _is_left_over(pod: Pod, launch: str, jobs: tuple[Job, ...]) -> bool:
    """A bench pod of this launch that is not over although its Job is gone: it may load the model still."""
    ours = pod.role == Role.BENCH and pod.launch == launch and not pod.over
    return ours and all(pod.job != job.name or pod.job_uid not in {job.uid, ""} for job in jobs)


def _until_gone(pods: Sequence[Pod], which: str, now: datetime) -> BenchTurn:
    """These may load the model still, and there must never be two loads on one. One that is lost with its node ends the
    launch: whether it loads nobody can say."""
    lost = next((pod for pod in pods if pod.is_lost(now)), None)
    if lost is None:
        return BenchTurn(message=f"waiting for {which} bench pod to end", wake_after=2.0)
    what = f"its bench pod was taken away from node {lost.node or '?'}, and the node has not told of its end"
    message = f"{what} {LOST_SECONDS:g} s after that was due: it may load the model still"
    return BenchTurn(failure=Failure(blame=Blame.INFRASTRUCTURE, reason="NodeLost", message=message))


def _of_attempt(
    children: Children, job: Job, said: datetime | None, following: int, tried: int, retries: int,
    deadlines: Deadlines, now: datetime,
) -> BenchTurn:  # fmt: skip
    """`said`: when it was heard last."""
    pods = children.pods_of(job)
    going = [pod for pod in pods if not pod.over]
    if job.deleting:
        return _until_gone(going, "a former", now)
    state = pods_state(job, pods, 1, deadlines, now)
    if any(_is_about_to_be_heard(pod, now) for pod in pods):
        return BenchTurn(message="waiting for the bench pod's last word", wake_after=5.0)
    if state.step is not Step.FAILED:
        return _going_on(pods, state, said, now)
    if going and not _never_started(pods):
        return _until_gone(going, "a lost", now)
    hung_before = job.ended is not None and _is_silence(said, job.ended)
    how = f"it {SILENT}" if hung_before else _how(pods, state.failure)
    waits = not pods and not job.finished  # its pod may still come, and must not load beside another
    if waits or _never_started(pods) or tried > retries:
        return BenchTurn(failure=_bench_failure(how, None if hung_before else state.failure, tried))
    return BenchTurn(create=following, message="starting the bench pod again", lost=how)


def _going_on(pods: Sequence[Pod], state: PodsState, said: datetime | None, now: datetime) -> BenchTurn:
    hung = next((pod for pod in pods if _hangs(pod, said, now)), None)
    if hung is not None:
        return BenchTurn(hung=hung, message=f"the bench pod {SILENT}, and is ended", wake_after=2.0)
    return BenchTurn(message=_waiting(state.step, state.message), wake_after=state.wake_after)


def _is_about_to_be_heard(pod: Pod, now: datetime) -> bool:
    """It ended well, so it has said its last word, which has not come through the watch yet."""
    if pod.ended is None or pod.ended.exit_code != 0 or pod.ended_at is None:
        return False
    return (now - pod.ended_at).total_seconds() < LAST_WORD_SECONDS


def _hangs(pod: Pod, said: datetime | None, now: datetime) -> bool:
    """Whether a bench pod that runs has said nothing for too long.

    All by the operator's clock: a node's may be many minutes off.
    """
    if not pod.running or pod.deleting or pod.heard is None:
        return False
    return _is_silence(max(pod.heard, said) if said else pod.heard, now)


def _is_silence(since: datetime | None, until: datetime) -> bool:
    return since is not None and (until - since).total_seconds() >= SILENT_SECONDS


def _never_started(pods: tuple[Pod, ...]) -> bool:
    """A pod that could not start at all (no node, no image, no Secret) would not start the next time either."""
    return bool(pods) and all(pod.started is None and pod.disruption is None and not pod.deleting for pod in pods)


def _waiting(step: Step, message: str) -> str:
    if step in {Step.STARTING, Step.READY}:
        return ""
    return "starting the bench pod" if message == "starting" else f"bench pod: {message}"


def _how(pods: tuple[Pod, ...], failure: Failure | None) -> str:
    ended = next((pod.ended for pod in pods if pod.ended), None)
    taken = next((pod.disruption for pod in pods if pod.disruption), None)
    if taken is not None:
        return f"{taken[0]}: {taken[1]}"
    if ended is not None:
        return f"exit code {ended.exit_code} {ended.reason}: {ended.tail or 'it said nothing'}"
    return failure.message if failure else "its pod has gone"


def _bench_failure(how: str, failure: Failure | None, tried: int) -> Failure:
    if failure is not None and failure.blame is Blame.INFRASTRUCTURE:
        times = f" (attempt {tried})" if tried > 1 else ""
        return failure.model_copy(update={"message": shorten(f"bench pod{times}: {failure.message}", MESSAGE_LIMIT)})
    message = shorten(f"its bench pod was lost {tried} times (execution.retries); the last time: {how}", MESSAGE_LIMIT)
    return Failure(blame=Blame.LOAD_GENERATOR, reason="BenchLost", message=message)
