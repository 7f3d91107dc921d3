from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from perbench.grafana import annotations
from perbench.grafana.annotations import TAG_LIMIT, Kept, RunAnnotation, Write, of_run


def write(wanted: RunAnnotation, found: Iterable[Kept]) -> Write | None:
    return annotations.write(wanted, of_run(wanted, found))


START = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
END = START + timedelta(hours=1)
MS = 1_775_120_400_000
BEGUN = RunAnnotation(namespace="team", benchmark="bench", run_id="0123456789", start=START, text="is on")
ENDED = BEGUN.model_copy(update={"end": END, "text": "Succeeded"})
POINT = Kept(7, MS, MS, "is on", BEGUN.tags)
REGION = Kept(7, MS, MS + 3_600_000, "Succeeded", BEGUN.tags)


def test_a_run_is_found_by_its_tags_and_its_start() -> None:
    assert BEGUN.tags == ("perbench", "namespace:team", "team/bench", "run:0123456789")
    assert BEGUN.marks == ("perbench", "team/bench", "run:0123456789")
    assert set(BEGUN.marks) < set(BEGUN.tags)
    assert BEGUN.sought in BEGUN.marks


def test_the_longest_names_fit_into_what_grafana_takes() -> None:
    longest = BEGUN.model_copy(update={"namespace": "n" * 63, "benchmark": "b" * 253})
    assert all(len(tag) <= TAG_LIMIT for tag in longest.tags)
    assert sum(len(tag) + 3 for tag in longest.tags) < 500


def test_a_run_that_begins_is_a_moment() -> None:
    assert write(BEGUN, ()) == Write(None, MS, None, "is on", BEGUN.tags)


def test_a_run_that_ends_is_a_region() -> None:
    assert write(ENDED, (POINT,)) == Write(7, MS, MS + 3_600_000, "Succeeded", BEGUN.tags)


def test_a_run_of_which_grafana_never_heard_is_made_whole() -> None:
    assert write(ENDED, ()) == Write(None, MS, MS + 3_600_000, "Succeeded", BEGUN.tags)


@pytest.mark.parametrize(("wanted", "kept"), [(BEGUN, POINT), (BEGUN, REGION), (ENDED, REGION)])
def test_what_is_told_already_is_not_written(wanted: RunAnnotation, kept: Kept) -> None:
    """Nor does a late word of the start open again what has ended."""
    assert write(wanted, (kept,)) is None


def test_the_same_run_measured_anew_is_another() -> None:
    before = replace(REGION, time=MS - 1000, time_end=MS - 500)
    assert write(ENDED, (before,)) == write(ENDED, ())
    assert write(ENDED, (before, replace(POINT, number=8))) == write(ENDED, (replace(POINT, number=8),))


def test_what_people_have_added_stays() -> None:
    assert write(BEGUN, (replace(POINT, text="look here"),)) is None
    changed = write(ENDED, (replace(POINT, tags=("mine", *POINT.tags)),))
    assert changed is not None
    assert set(changed.tags) == {"mine", *BEGUN.tags}
    assert write(ENDED, (replace(REGION, tags=(*REGION.tags, "mine")),)) is None


def test_figures_that_were_computed_anew_are_written() -> None:
    other = ENDED.model_copy(update={"text": "Succeeded: best b"})
    assert write(other, (REGION,)) == Write(7, MS, MS + 3_600_000, "Succeeded: best b", BEGUN.tags)


def test_of_two_the_one_with_an_end_counts_then_the_older() -> None:
    younger = replace(POINT, number=9)
    assert of_run(ENDED, (younger, POINT)) == (POINT, younger)
    ended = replace(REGION, number=10)
    assert of_run(ENDED, (younger, POINT, ended)) == (ended, POINT, younger)
    assert write(BEGUN, (POINT, ended)) is None


def test_what_people_have_added_to_one_too_many_stays() -> None:
    changed = write(ENDED, (POINT, replace(POINT, number=9, tags=(*POINT.tags, "mine"))))
    assert changed is not None
    assert (changed.number, changed.tags) == (7, (*BEGUN.tags, "mine"))
