"""The results object: what was written is read, and what is damaged is named."""

import gzip
from base64 import b64encode
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from perbench.failures import Blame, Failure
from perbench.objects.results import (
    DETAIL,
    LARGEST_DOCUMENT,
    MODEL,
    TASKS,
    Detail,
    LaunchEnd,
    ModelFacts,
    calibration_name,
    encoded,
    encoded_tasks,
    facts_name,
    launch_name,
    name_of,
    read_object,
    stage_name,
    unpacked_size,
)
from perbench.results import CalibrationRecord, Outcome, RequestColumns, StageRecord
from tests.support.results import ANSWERS, ONE_SLOT, TOPICS, Shape, model, stage

CALIBRATION = CalibrationRecord(
    ttft_error_ms=0.2, itl_error_ms=0.05, rate_trusted=400.0, concurrency_trusted=256.0, advice="fine"
)
BARE = model("m", ONE_SLOT, rounds=0)
SHAPE = Shape(seconds=1.0, tokens=10, right=20)
NUMBER = st.floats(0, 1e7, allow_nan=False)
MAYBE = st.none() | NUMBER
COUNT = st.none() | st.integers(0, 1_000_000)
TEXT = st.none() | st.text(max_size=20)


@st.composite
def columns(draw: st.DrawFn) -> RequestColumns:
    n = draw(st.integers(0, 8))

    def column(values: st.SearchStrategy[object]) -> tuple[object, ...]:
        return tuple(draw(st.lists(values, min_size=n, max_size=n)))

    kinds: dict[str, st.SearchStrategy[object]] = {
        "item": st.integers(0, 10_000), "outcome": st.sampled_from(Outcome), "sent_seconds": NUMBER, "ttft_ms": MAYBE,
        "ttft_sent_ms": MAYBE, "connect_ms": NUMBER, "e2e_ms": MAYBE, "tpot_ms": MAYBE, "input_tokens": COUNT,
        "output_tokens": COUNT, "cached_tokens": COUNT, "finish": TEXT, "score": st.none() | st.floats(0, 1),
        "answer": TEXT,
    }  # fmt: skip
    return RequestColumns.model_validate({name: column(kind) for name, kind in kinds.items()})


@st.composite
def stages(draw: st.DrawFn) -> StageRecord:
    return stage(TOPICS, SHAPE).model_copy(
        update={
            "requests": draw(columns()),
            "repeat": draw(st.none() | st.integers(0, 99)),
            "round": draw(st.integers(0, 99)),
            "task": draw(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,10}[a-z0-9])?", fullmatch=True)),
            "memory": None,
            "started_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=draw(st.integers(0, 10**6))),
        }
    )


@given(stages())
@settings(max_examples=60, deadline=None)
def test_what_was_measured_is_read_as_it_was(record: StageRecord) -> None:
    value = encoded(record)
    assert value == encoded(record), "equal documents give equal texts"
    found = read_object({name_of(record): value})
    assert found.unreadable == ()
    assert found.stages == {record.round: (record,)}
    assert found.recorded(record.round) == ((record.task, record.repeat),)


def whole() -> dict[str, str]:
    first, second = stage(TOPICS, SHAPE), stage(ANSWERS, SHAPE, number=1)
    return {
        MODEL: encoded(BARE),
        TASKS: encoded_tasks((TOPICS, ANSWERS)),
        facts_name(0): encoded(ModelFacts(source={"kind": "Hub"}, runtime_version="3", warnings=("w",))),
        calibration_name(1): encoded(CALIBRATION),
        DETAIL: encoded(Detail(answers=False)),
        name_of(first): encoded(first),
        name_of(second): encoded(second),
        launch_name(0): encoded(
            LaunchEnd(round=0, order=1, failure=Failure(blame=Blame.TARGET, reason="NotReady", message="no"))
        ),
    }


def test_every_key_is_read() -> None:
    found = read_object(whole())
    assert found.model == BARE
    assert found.tasks == (TOPICS, ANSWERS)
    assert found.facts == {0: ModelFacts(source={"kind": "Hub"}, runtime_version="3", warnings=("w",))}
    assert found.calibrations == {1: CALIBRATION}
    assert found.detail == Detail(answers=False)
    assert sorted(found.stages) == [0, 1]
    assert found.ends[0].failure is not None
    assert found.unreadable == ()


def test_an_object_that_nobody_wrote_is_empty() -> None:
    assert read_object(None) == read_object({})
    assert read_object(None).recorded(0) == ()


@given(st.sampled_from(sorted(whole())), st.integers(0, 10_000), st.sampled_from("Ab/+=!é"))
@settings(max_examples=150, deadline=None)
def test_damage_is_named_or_does_no_harm(name: str, place: int, letter: str) -> None:
    values = whole()
    place %= len(values[name])
    damaged = values | {name: values[name][:place] + letter + values[name][place + 1 :]}
    found = read_object(damaged)
    sound = read_object(values)
    assert found.unreadable == (name,) or found == sound
    others = [key for key in values if key.startswith("stage.") and key != name]
    assert {name_of(one) for several in found.stages.values() for one in several} >= set(others)


@given(st.sampled_from(sorted(whole())), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_what_is_cut_off_is_named(name: str, length: int) -> None:
    values = whole()
    damaged = values | {name: values[name][: length % len(values[name])]}
    assert read_object(damaged).unreadable == (name,)


def test_a_stage_under_another_stages_key_counts_as_neither() -> None:
    record = stage(TOPICS, SHAPE)
    found = read_object({stage_name(0, ("topics", 1)): encoded(record)})
    assert found.stages == {}
    assert found.unreadable == ("stage.0.topics.1",)


def test_what_follows_a_document_is_no_part_of_it() -> None:
    twice = b64encode(gzip.compress(b"{}") * 2).decode()
    assert read_object({facts_name(0): twice}).unreadable == (facts_name(0),)


def test_a_commit_is_what_server_or_hub_say_and_no_branch() -> None:
    def learnt(revision: str | None) -> str:
        return encoded(ModelFacts(source={"revision": revision} if revision else {}))

    found = read_object({facts_name(0): learnt("main"), facts_name(1): learnt("a" * 40), facts_name(2): learnt(None)})
    assert [found.commit(number) for number in range(4)] == [None, "a" * 40, None, None]
    assert found.first_commit == "a" * 40


def test_keys_of_a_later_version_are_left_alone() -> None:
    assert read_object({"later": "!"}).unreadable == ()


def packed(content: bytes) -> str:
    return b64encode(gzip.compress(content)).decode()


def test_what_unpacks_to_more_than_any_document_of_ours_is_not_read() -> None:
    bomb = b'{"source": {"a": "' + b" " * LARGEST_DOCUMENT + b'"}}'
    assert read_object({facts_name(0): packed(bomb)}).unreadable == (facts_name(0),)
    assert read_object({facts_name(0): packed(bomb.replace(b" " * 100, b""))}).unreadable == ()


def test_of_an_object_no_more_is_read_than_any_of_ours_holds() -> None:
    padding = b" " * (LARGEST_DOCUMENT - 1_000)
    stages = [stage(TOPICS, SHAPE, repeat=number) for number in range(4)]
    values = {name_of(one): packed(one.model_dump_json(by_alias=True).encode() + padding) for one in stages}
    found = read_object(values)
    assert len(found.unreadable) == 4, "each is too large by itself"
    padding = b" " * (LARGEST_DOCUMENT // 2)
    values = {name_of(one): packed(one.model_dump_json(by_alias=True).encode() + padding) for one in stages}
    assert read_object(values).unreadable == (name_of(stages[3]),)


def test_what_a_value_unpacks_to_is_what_it_says() -> None:
    record = stage(TOPICS, SHAPE)
    assert unpacked_size(encoded(record)) == len(record.model_dump_json(by_alias=True).encode())
