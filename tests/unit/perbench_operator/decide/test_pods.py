from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perbench.api.execution import Deadlines
from perbench.failures import Blame
from perbench_operator.decide.pods import PodsState, Step, pods_state
from perbench_operator.observed import Ended, Failing, Job, Pod

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Deadlines(scheduling_seconds=100, image_seconds=200, ready_seconds=300, total_seconds=86_400)
JOB = Job("j", "u", "r", "model", "l", "m", None, T0, begun=T0)
NEW = Pod("p", "j", "r", "model", "l", created=T0)
PLACED = replace(NEW, node="n1", scheduled=T0)
RUNNING = replace(PLACED, started=T0)
READY = replace(RUNNING, ready=T0 + timedelta(seconds=30))
UNREADY = replace(RUNNING, unready=T0 + timedelta(seconds=400))
"""It was ready, and has lost it."""


def at(seconds: float, *pods: Pod, job: Job = JOB, count: int = 1, answered: bool = False) -> PodsState:
    return pods_state(job, pods, count, LIMITS, T0 + timedelta(seconds=seconds), answered=answered)


def failure(state: PodsState) -> tuple[Blame, str]:
    assert state.failure is not None
    return state.failure.blame, state.failure.reason


def test_the_way_up() -> None:
    assert at(1).step is Step.CREATING
    assert at(1, NEW).step is Step.SCHEDULING
    assert at(1, PLACED).step is Step.PULLING
    assert at(1, RUNNING).step is Step.STARTING
    assert at(31, READY).step is Step.READY


def test_several_replicas_are_as_far_as_the_last_of_them() -> None:
    assert at(31, READY, count=2).step is Step.CREATING
    assert at(31, READY, replace(RUNNING, name="q"), count=2).step is Step.STARTING
    later = replace(READY, name="q", ready=T0 + timedelta(seconds=90), started=T0 + timedelta(seconds=9))
    both = at(91, READY, later, count=2)
    assert (both.step, both.started, both.ready) == (Step.READY, later.started, later.ready)


def test_without_a_node_the_scheduler_is_quoted_and_waited_for() -> None:
    pod = replace(NEW, unscheduled="0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    waiting = at(99, pod)
    assert waiting.message == "waiting for a node: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    assert waiting.wake_after == 1
    late = at(100, pod)
    assert failure(late) == (Blame.INFRASTRUCTURE, "Unschedulable")
    assert late.failure is not None
    assert "1 Insufficient nvidia.com/gpu" in late.failure.message
    assert "schedulingSeconds" in late.failure.message


@pytest.mark.parametrize(
    ("reason", "message", "patience", "expected"),
    [
        ("ImagePullBackOff", "not found", 60, "ImagePullFailed"),
        ("ErrImagePull", "manifest unknown", 60, "ImagePullFailed"),
        ("InvalidImageName", "couldn't parse", 0, "ImagePullFailed"),
        ("CreateContainerConfigError", 'secret "hub" not found', 15, "SecretMissing"),
        ("CreateContainerConfigError", 'configmap "x" not found', 15, "ConfigMissing"),
        ("CreateContainerError", "exec: not found", 60, "ContainerNotStarted"),
        ("FailedMount", 'failed for volume "dataset-0" : configmap "x" not found', 60, "ConfigMissing"),
        ("FailedMount", 'failed for volume "d" : references non-existent config key: k', 60, "ConfigMissing"),
        ("FailedMount", 'failed for volume "own" : secret "x" not found', 60, "SecretMissing"),
    ],
)
def test_what_keeps_a_container_from_starting_gets_some_patience(
    reason: str, message: str, patience: int, expected: str
) -> None:
    """From its first failure, which may come long after it got its node: an image can be large."""
    pod = replace(PLACED, waiting=(reason, message), failing=Failing(T0 + timedelta(seconds=100), 3))
    if patience:
        assert at(100 + patience - 1, pod).step is Step.PULLING
    late = at(100 + patience, pod)
    assert failure(late) == (Blame.INFRASTRUCTURE, expected)
    assert late.failure is not None
    assert message in late.failure.message


def test_an_image_that_takes_too_long() -> None:
    assert at(199, PLACED).step is Step.PULLING
    assert failure(at(200, PLACED)) == (Blame.INFRASTRUCTURE, "ImageTimeout")


def test_a_pull_that_was_broken_off_once_is_under_way_again() -> None:
    broken_off = replace(PLACED, waiting=("ErrImagePull", "connection reset"), failing=Failing(T0, 1))
    assert at(199, broken_off).step is Step.PULLING
    assert at(199, replace(broken_off, failing=None)).step is Step.PULLING, "nothing is known of it"
    late = at(200, broken_off)
    assert failure(late) == (Blame.INFRASTRUCTURE, "ImageTimeout")
    assert late.failure is not None
    assert "connection reset" in late.failure.message


def test_a_server_that_exits_says_why_whatever_its_exit_code() -> None:
    for code in (0, 1, 137):
        died = T0 + timedelta(seconds=40)
        ended = replace(UNREADY, ended=Ended(code, "Error", "CUDA out of memory"), unready=died, ended_at=died)
        state = at(41, ended)
        assert failure(state) == (Blame.TARGET, "ServerExited")
        assert state.failure is not None
        assert state.failure.exit_code == code
        assert "CUDA out of memory" in state.failure.message


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (Ended(137, "OOMKilled", ""), "OutOfMemory"),
        (Ended(1, "Error", "Cannot access gated repo for url https://hub/x"), "GatedModel"),
        (Ended(1, "Error", "Repository Not Found for url"), "ModelNotFound"),
        (
            Ended(
                1, "Error", "401 Client Error. Repository Not Found for url. If it is a private or gated repo, log in"
            ),
            "ModelNotFound",
        ),
    ],
)
def test_known_last_words_have_their_own_reason(ended: Ended, expected: str) -> None:
    assert failure(at(5, replace(RUNNING, ended=ended, ended_at=T0))) == (Blame.TARGET, expected)


def test_never_ready_is_told_from_a_crash() -> None:
    assert at(299, RUNNING).step is Step.STARTING
    assert failure(at(320, RUNNING)) == (Blame.TARGET, "NotReady")
    killed = replace(RUNNING, ended=Ended(137, "Error", "loading"), ended_at=T0 + timedelta(seconds=301))
    assert failure(at(302, killed)) == (Blame.TARGET, "NotReady")
    early = replace(killed, ended_at=T0 + timedelta(seconds=100))
    assert failure(at(101, early)) == (Blame.TARGET, "ServerExited")


def test_who_has_been_ready_is_not_failed_by_losing_it() -> None:
    assert at(5_000, UNREADY).step is Step.READY
    assert at(5_000, UNREADY, replace(READY, name="q"), count=2).step is Step.READY
    assert at(310, UNREADY, replace(RUNNING, name="q"), count=2).step is Step.STARTING
    loaded = replace(RUNNING, unready=T0)
    assert failure(at(5_000, loaded)) == (Blame.TARGET, "NotReady")
    assert at(5_000, loaded, answered=True).step is Step.READY, "a load has begun: it had answered"


def test_a_server_that_dies_long_after_it_was_ready_is_no_slow_starter() -> None:
    end = T0 + timedelta(seconds=5_000)
    died = replace(RUNNING, unready=end, ended=Ended(139, "Error", "segmentation fault"), ended_at=end)
    assert failure(at(5_001, died)) == (Blame.TARGET, "ServerExited")
    silent = replace(died, unready=T0)
    assert failure(at(5_001, silent)) == (Blame.TARGET, "NotReady")
    assert failure(at(5_001, silent, answered=True)) == (Blame.TARGET, "ServerExited")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("PreemptionByScheduler", "Preempted"),
        ("EvictionByEvictionAPI", "Drained"),
        ("DeletionByTaintManager", "Drained"),
        ("TerminationByKubelet", "Evicted"),
        ("DeletionByPodGC", "NodeLost"),
        ("SomethingNew", "Disrupted"),
    ],
)
def test_a_pod_that_is_taken_away_is_nobody_s_crash(reason: str, expected: str) -> None:
    taken = replace(READY, leaves=T0, disruption=(reason, "making room"), ended=Ended(143, "Error", ""))
    state = at(50, taken)
    assert failure(state) == (Blame.INFRASTRUCTURE, expected)
    assert state.failure is not None
    assert "making room" in state.failure.message


def test_a_pod_that_somebody_deletes() -> None:
    assert failure(at(50, replace(READY, leaves=T0))) == (Blame.INFRASTRUCTURE, "PodDeleted")


def ended_at(second: int, code: int, words: str, **changes: Any) -> Pod:
    moment = T0 + timedelta(seconds=second)
    return replace(UNREADY, ended=Ended(code, "Error", words), ended_at=moment, over=True, **changes)


def blamed(*pods: Pod) -> str:
    state = at(500, *pods, count=len(pods))
    assert state.failure is not None
    return f"{state.failure.reason}: {state.failure.message}"


def test_of_several_replicas_the_one_is_blamed_whose_end_was_the_cause() -> None:
    """When one fails, the Job's controller deletes the others."""
    crashed = ended_at(410, 1, "CUDA error", name="z")
    told_to_end = ended_at(412, 143, "shutting down", name="a", leaves=T0 + timedelta(seconds=440))
    assert "CUDA error" in blamed(told_to_end, crashed)
    early_to_end = replace(told_to_end, ended_at=T0 + timedelta(seconds=409))
    assert "CUDA error" in blamed(early_to_end, crashed), "clocks of nodes differ"
    ending = replace(UNREADY, name="a", leaves=T0 + timedelta(seconds=440))
    assert "CUDA error" in blamed(ending, crashed)
    assert "CUDA error" in blamed(ended_at(411, 1, "lost its peer", name="b"), crashed)
    drained = replace(ending, name="y", disruption=("EvictionByEvictionAPI", "drained"))
    assert blamed(told_to_end, drained).startswith("Drained")


def test_pods_that_are_refused_are_explained_in_the_api_s_words() -> None:
    words = 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2'
    job = replace(JOB, refused=words)
    assert at(9, job=job).step is Step.CREATING
    assert failure(at(10, job=job)) == (Blame.INFRASTRUCTURE, "QuotaExceeded")
    other = replace(JOB, refused="violates PodSecurity")
    assert failure(at(10, job=other)) == (Blame.INFRASTRUCTURE, "PodRefused")
    late = replace(job, begun=T0 + timedelta(seconds=600))
    assert at(609, job=late).step is Step.CREATING, "somebody had suspended it until then"


def test_a_job_that_lost_its_pods() -> None:
    assert failure(at(50, job=replace(JOB, finished=True))) == (Blame.INFRASTRUCTURE, "PodLost")
    assert failure(at(61)) == (Blame.INFRASTRUCTURE, "PodLost")


def test_a_job_that_ended_before_its_pod_is_known_to_have_is_no_loss_yet() -> None:
    """Jobs and pods come through watches of their own: the end of the one may be heard of before that of the other."""
    ended = replace(JOB, finished=True, ended=T0 + timedelta(seconds=50))
    early = at(52, READY, job=ended)
    assert (early.step, early.failure) == (Step.READY, None)
    assert early.wake_after is not None
    crashed = replace(READY, ended=Ended(1, "Error", "CUDA error"), ended_at=T0 + timedelta(seconds=49))
    assert failure(at(53, crashed, job=ended)) == (Blame.TARGET, "ServerExited")
    assert failure(at(111, READY, job=ended)) == (Blame.INFRASTRUCTURE, "PodLost")
    assert at(52, READY, job=ended, count=2).failure is not None, "a pod of it has gone"


def test_a_job_that_its_controller_has_not_seen_is_waited_for_like_a_node() -> None:
    unseen = replace(JOB, begun=None)
    assert at(99, job=unseen).message == "waiting for the cluster's Job controller"
    assert failure(at(100, job=unseen)) == (Blame.INFRASTRUCTURE, "JobNotBegun")
    late = replace(JOB, begun=T0 + timedelta(seconds=80))
    assert at(139, job=late).step is Step.CREATING
    assert failure(at(140, job=late)) == (Blame.INFRASTRUCTURE, "PodLost")


def test_a_job_that_somebody_else_has_suspended_waits_and_says_so() -> None:
    job = replace(JOB, begun=None, suspended=T0 + timedelta(seconds=50))
    waiting = at(149, job=job)
    assert waiting.step is Step.CREATING
    assert "suspended" in waiting.message
    assert waiting.wake_after == 1
    assert failure(at(150, job=job)) == (Blame.INFRASTRUCTURE, "JobSuspended")
    assert at(51, replace(NEW, leaves=T0), job=job).step is Step.CREATING, "it had not started yet"
    assert failure(at(51, replace(READY, leaves=T0), job=job)) == (Blame.INFRASTRUCTURE, "Preempted")


def test_some_replicas_that_are_refused_fail_the_model_too() -> None:
    job = replace(JOB, refused="exceeded quota: small")
    assert failure(at(10, READY, job=job, count=2)) == (Blame.INFRASTRUCTURE, "QuotaExceeded")
    assert failure(at(61, READY, count=2)) == (Blame.INFRASTRUCTURE, "PodLost")


def test_a_sidecar_that_does_not_come_up_is_not_the_server() -> None:
    pod = replace(PLACED, waiting=("CrashLoopBackOff", "back-off restarting container memory"), failing=Failing(T0, 2))
    assert at(59, pod).step is Step.PULLING
    assert failure(at(60, pod)) == (Blame.INFRASTRUCTURE, "ContainerNotStarted")
    assert at(500, replace(READY, waiting=pod.waiting)).step is Step.READY, "the server runs on"
