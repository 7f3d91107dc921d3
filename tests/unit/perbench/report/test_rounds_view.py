"""Rounds and drift: what moves with one model, and what moves under all."""

from dataclasses import replace

import pytest

from perbench.evaluation import evaluate
from perbench.report.rounds_view import EVERYBODY, RoundsView, rounds_view
from perbench.results import Results
from tests.support import results as runs
from tests.support.results import ONE_SLOT, TOPICS, model, results


def view(found: Results, task: int = 0) -> RoundsView | None:
    evaluated = evaluate(found).tasks[task]
    return rounds_view(evaluated.record.kind, evaluated.rows, found.resolved.rounds)


def drifting(*drifts: tuple[float, ...], rounds: int = 3) -> Results:
    members = [
        model(f"m{n}", {"topics": replace(ONE_SLOT["topics"], drift=drift)}, (TOPICS,), rounds=rounds)
        for n, drift in enumerate(drifts)
    ]
    return results(members, (TOPICS,), rounds=rounds)


def test_drift_of_the_machine_is_what_all_have_in_common() -> None:
    # Times x 1, 1 / 1.1, 1 / 1.2 are throughputs of 1, 1.1, 1.2: -9.1 %, 0, +9.1 % of their mean.
    falling = (1.0, 1 / 1.1, 1 / 1.2)
    found = view(drifting(falling, falling))
    together = found.drift[0]
    assert (together.model, together.everybody) == (EVERYBODY, True)
    assert [line.text for line in found.drift] == ["-9.1 %, +0.0 %, +9.1 %"] * 3
    assert found.reach == "±9.1 %"
    assert [dot.at for dot in together.dots] == pytest.approx([4.0, 50.0, 96.0], abs=0.1)


def test_opposite_drifts_cancel() -> None:
    found = view(drifting((1.0, 1 / 1.1, 1 / 1.2), (1 / 1.2, 1 / 1.1, 1.0)))
    away = [float(part.split()[0]) for part in found.drift[0].text.split(", ")]
    assert max(map(abs, away)) < 0.6


def test_one_model_alone_has_nothing_in_common() -> None:
    found = view(drifting((1.0, 1.1, 0.9)))
    assert [line.model for line in found.drift] == ["m0"]


def test_calm_machines_look_calm() -> None:
    assert view(drifting((1.0, 1.001, 0.999))).reach == "±1.0 %"


@pytest.mark.parametrize("slowest", [1e80, 1e300])
def test_a_round_that_all_but_stood_still_is_shown_too(slowest: float) -> None:
    found = view(drifting((1.0, 1.0, slowest), (1.0, 1.0, 1.0)))
    assert [line.text for line in found.drift][1:] == ["+50.0 %, +50.0 %, -100.0 %", "+0.0 %, +0.0 %, +0.0 %"]


def test_one_round_has_no_drift() -> None:
    assert view(drifting((1.0,), rounds=1)) is None


def test_repeats_stand_for_rounds_where_every_model_was_started_once() -> None:
    found = view(runs.one_launch())
    assert (found.counted, found.numbers) == ("Repeat", ("1", "2", "3"))
    assert found.drift[1].text == view(runs.succeeded()).drift[1].text


def test_values_of_every_round() -> None:
    found = {block.title: dict(block.lines) for block in view(runs.succeeded(), 1).values}
    assert list(found) == [
        "Reference PER", "Accuracy", "Throughput, tokens/s per server", "Latency, ms per token", "Memory, MiB",
    ]  # fmt: skip
    assert found["Reference PER"]["one-slot"] == ("1.000", "1.000", "1.000")
    assert found["Memory, MiB"]["four-slots"] == ("417", "418", "416")


def test_a_model_that_missed_a_round_has_a_dash_there() -> None:
    found = view(runs.interrupted())
    throughput = dict(found.values[1].lines)
    assert throughput["small-cache"][2] == "-"
    assert throughput["one-slot"][2] != "-"
    assert "small-cache" in [line.model for line in found.drift]
