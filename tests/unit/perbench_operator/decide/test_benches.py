from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from perbench.api.execution import Deadlines
from perbench.failures import Blame, Failure
from perbench.objects.progress import BenchProgress, BenchState
from perbench_operator.decide.benches import BenchTurn, bench_turn
from perbench_operator.observed import Children, Ended, Job, Pod

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Deadlines(scheduling_seconds=100, image_seconds=200, ready_seconds=300, total_seconds=86_400)
POD = Pod("p0", "a0", "r", "bench", "l", created=T0, node="n", scheduled=T0, started=T0, ready=T0, heard=T0)
LOST = replace(POD, ended=Ended(137, "OOMKilled", ""), over=True)


def job(attempt: int, **changes: object) -> Job:
    return replace(Job(f"a{attempt}", f"u{attempt}", "r", "bench", "l", "m", attempt, T0, begun=T0), **changes)  # type: ignore[arg-type]


def said(state: BenchState, *, attempt: int = 0, round_: int = 0, failure: Failure | None = None) -> BenchProgress:
    return BenchProgress(round=round_, attempt=attempt, state=state, recorded=1, failure=failure, updated_at=T0)


def turn(
    *children: Job | Pod,
    progress: BenchProgress | None = None,
    heard: datetime = T0,
    retries: int = 2,
    after: float = 30,
) -> BenchTurn:
    jobs = [child for child in children if isinstance(child, Job)]
    pods = [child for child in children if isinstance(child, Pod)]
    seen = Children.of(jobs, pods, {"said": progress} if progress else {}, {"said": heard} if progress else {})
    return bench_turn(seen, "l", 0, "said", retries, LIMITS, T0 + timedelta(seconds=after))


def test_the_first_attempt() -> None:
    assert turn().create == 0
    running = turn(job(0), POD, progress=said(BenchState.MEASURING))
    assert (running.create, running.final, running.failure) == (None, None, None)


@pytest.mark.parametrize("state", [BenchState.FINISHED, BenchState.FAILED])
def test_the_last_word_counts_whatever_became_of_the_pod(state: BenchState) -> None:
    word = said(state)
    for seen in ([job(0), POD], [job(0, finished=True), LOST], [job(0, finished=True)], []):
        assert turn(*seen, progress=word).final == word


def test_a_last_word_of_another_round_is_not_of_this_launch() -> None:
    assert turn(progress=said(BenchState.FINISHED, round_=1)).create == 0


def test_a_lost_pod_is_followed_by_another_attempt_once_it_is_gone() -> None:
    lost = turn(job(0, finished=True), LOST, progress=said(BenchState.MEASURING))
    assert lost.create == 1
    assert "OOMKilled" in lost.lost
    leaving = replace(POD, leaves=T0, disruption=("EvictionByEvictionAPI", "drained"))
    assert turn(job(0), leaving).create is None, "never two loads on one model"
    gone = replace(leaving, over=True, ended=Ended(143, "Error", ""))
    assert turn(job(0), gone).create == 1


def test_an_old_word_of_a_lost_attempt_does_not_count_for_the_next() -> None:
    second = replace(POD, name="p1", job="a1")
    assert turn(job(0, finished=True), job(1), LOST, second, progress=said(BenchState.MEASURING)).final is None


def test_too_many_are_lost() -> None:
    jobs = [job(number, finished=True) for number in range(3)]
    pods = [replace(LOST, name=f"p{number}", job=f"a{number}") for number in range(3)]
    failure = turn(*jobs, *pods).failure
    assert failure is not None
    assert (failure.blame, failure.reason) == (Blame.LOAD_GENERATOR, "BenchLost")
    assert "3 times" in failure.message
    assert turn(*jobs[:1], *pods[:1], retries=0).failure is not None


def test_a_pod_that_cannot_start_is_not_tried_again() -> None:
    homeless = Pod("p0", "a0", "r", "bench", "l", created=T0, unscheduled="0/1 nodes")
    waiting = turn(job(0), homeless)
    assert waiting.message == "bench pod: waiting for a node: 0/1 nodes"
    failure = turn(job(0), homeless, after=100).failure
    assert failure is not None
    assert (failure.blame, failure.reason) == (Blame.INFRASTRUCTURE, "Unschedulable")


def test_after_a_suspension_attempts_go_on_counting() -> None:
    assert turn(progress=said(BenchState.MEASURING, attempt=3)).create == 4


def test_a_job_whose_pod_is_refused_is_not_doubled_and_the_api_is_quoted() -> None:
    refused = job(0, refused='pods "x" is forbidden: exceeded quota: q')
    assert turn(refused, after=5).create is None
    failure = turn(refused, after=30).failure
    assert failure is not None
    assert (failure.blame, failure.reason) == (Blame.INFRASTRUCTURE, "QuotaExceeded")


def test_a_job_without_a_pod_may_get_it_yet_and_is_not_doubled() -> None:
    assert turn(job(0), after=59).message == "bench pod: waiting for its pods"
    assert turn(job(0), after=61).create is None


def test_drained_once_too_often_is_infrastructure() -> None:
    taken = ("EvictionByEvictionAPI", "drained")
    gone = [
        replace(LOST, name=f"p{number}", job=f"a{number}", disruption=taken, ended=Ended(143, "Error", ""))
        for number in range(3)
    ]
    failure = turn(*(job(number, finished=True) for number in range(3)), *gone).failure
    assert failure is not None
    assert (failure.blame, failure.reason) == (Blame.INFRASTRUCTURE, "Drained")


def test_a_bench_pod_whose_job_is_gone_is_waited_for() -> None:
    assert turn(replace(POD, leaves=T0)).create is None
    assert turn(replace(LOST)).create == 0


@pytest.mark.parametrize("jobs", [[], [job(0)], [job(0, deleting=True)]], ids=["no Job", "its Job", "its Job leaves"])
def test_beside_a_bench_pod_on_a_node_that_does_not_answer_no_other_is_started(jobs: list[Job]) -> None:
    lost = replace(POD, leaves=T0 + timedelta(seconds=60))
    waiting = turn(*jobs, lost, after=359)
    assert (waiting.create, waiting.failure) == (None, None)
    assert "waiting for" in waiting.message
    given_up = turn(*jobs, lost, after=360)
    assert given_up.create is None
    assert given_up.failure is not None
    assert (given_up.failure.blame, given_up.failure.reason) == (Blame.INFRASTRUCTURE, "NodeLost")


def test_a_bench_pod_that_says_nothing_any_more_hangs_and_is_followed_by_another() -> None:
    word = said(BenchState.MEASURING)
    assert turn(job(0), POD, progress=word, after=599).hung is None
    hangs = turn(job(0), POD, progress=word, after=600)
    assert (hangs.hung, hangs.create, hangs.failure) == (POD, None, None)
    leaving = replace(POD, leaves=T0 + timedelta(seconds=660))
    waiting = turn(job(0), leaving, progress=word, after=650)
    assert (waiting.hung, waiting.create) == (None, None), "never two loads on one model"
    over = job(0, finished=True, ended=T0 + timedelta(seconds=655))
    following = turn(over, progress=word, after=660)
    assert (following.create, following.lost) == (1, "it has said nothing for 600 s")
    failure = turn(over, progress=word, retries=0, after=660).failure
    assert failure is not None
    assert (failure.blame, failure.reason) == (Blame.LOAD_GENERATOR, "BenchLost")
    assert "has said nothing for 600 s" in failure.message


def test_silence_counts_from_the_pods_own_start() -> None:
    began = T0 + timedelta(seconds=900)
    second = replace(POD, name="p1", job="a1", started=began, ready=began, heard=began)
    jobs = (job(0, finished=True), job(1))
    assert turn(*jobs, second, progress=said(BenchState.MEASURING), after=1_499).hung is None
    assert turn(*jobs, second, progress=said(BenchState.MEASURING), after=1_500).hung == second
    assert turn(job(0), POD, progress=said(BenchState.FINISHED), after=9_000).hung is None, "it lingers"


@pytest.mark.parametrize("off", [-3600, 3600])
def test_a_node_whose_clock_is_off_is_not_taken_for_silent(off: int) -> None:
    """Only what the operator heard, and when, counts."""
    theirs = T0 + timedelta(seconds=off)
    pod = replace(POD, started=theirs, ready=theirs)
    word = said(BenchState.MEASURING).model_copy(update={"updated_at": theirs})
    assert turn(job(0), pod, after=599).hung is None
    assert turn(job(0), pod, progress=word, heard=T0 + timedelta(seconds=500), after=1_099).hung is None
    assert turn(job(0), pod, progress=word, heard=T0 + timedelta(seconds=500), after=1_100).hung == pod


def test_a_pod_that_ended_well_has_said_its_last_word_and_will_be_heard() -> None:
    well = replace(POD, ended=Ended(0, "Completed", ""), ended_at=T0, over=True)
    assert turn(job(0, finished=True), well, after=10).create is None
    assert turn(job(0, finished=True), well, after=90).create == 1
