"""The progress document: what is written is read, and it is always small enough."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from perbench.failures import MESSAGE_LIMIT, Blame, Failure
from perbench.objects.progress import KEY, SIZE_LIMIT, BenchProgress, BenchState, read_progress

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def progress(number: int = 0, attempt: int = 0, message: str = "", failure: Failure | None = None) -> BenchProgress:
    return BenchProgress(
        round=number, attempt=attempt, state=BenchState.FAILED, recorded=3, message=message, failure=failure,
        updated_at=NOW,
    )  # fmt: skip


@given(st.text(max_size=256))
@settings(deadline=None)
def test_what_is_written_is_read(message: str) -> None:
    written = progress(message=message)
    assert read_progress(written.data()) == written


@given(st.text(min_size=MESSAGE_LIMIT // 2, max_size=MESSAGE_LIMIT), st.text(max_size=64))
@settings(deadline=None, max_examples=50)
def test_no_words_of_a_server_are_too_large(words: str, end: str) -> None:
    failure = Failure(blame=Blame.TARGET, reason="TargetErrors", message=(words + end)[-MESSAGE_LIMIT:])
    data = progress(failure=failure).data()
    assert len(data[KEY].encode()) <= SIZE_LIMIT
    found = read_progress(data)
    assert found is not None
    assert found.failure is not None


def test_the_end_of_a_failures_words_is_kept() -> None:
    failure = Failure(blame=Blame.TARGET, reason="TargetErrors", message="\U0001f600" * 1000 + "out of memory")
    found = read_progress(progress(failure=failure).data())
    assert found is not None
    assert found.failure is not None
    assert found.failure.message.endswith("out of memory")


def test_nothing_said_and_nonsense_are_nothing() -> None:
    assert read_progress(None) is None
    assert read_progress({}) is None
    assert read_progress({KEY: "{"}) is None


def test_later_rounds_and_attempts_are_newer() -> None:
    order = [progress(0, 0), progress(0, 1), progress(1, 0), progress(1, 2)]
    for place, one in enumerate(order):
        assert [one.older_than(other) for other in order] == [place < there for there in range(len(order))]
