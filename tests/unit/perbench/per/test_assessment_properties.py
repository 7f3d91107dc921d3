"""What must hold for every task: order, units, scaling, who else is compared, how often was measured."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perbench.per import Assessment, Axis, Chance, Replicates, Settings, assess
from perbench.statistics.intervals import Interval
from tests.support.simulation import Setting, Simulated, simulate

FEW_DRAWS = Chance(draws=400)
COLUMNS = (Axis.THROUGHPUT, Axis.MEMORY, Axis.LATENCY)

tasks = st.builds(
    lambda seed, n, models, items, variation: simulate(
        Setting(n, variation, models=models, items=items), np.random.default_rng(seed)
    ),
    seed=st.integers(0, 10_000),
    n=st.integers(3, 6),
    models=st.integers(2, 6),
    items=st.sampled_from([0, 30]),
    variation=st.sampled_from([0.001, 0.03, 0.2]),
)
limited = settings(deadline=None, max_examples=25)


def ends(interval: Interval | None) -> tuple[float, float] | None:
    return None if interval is None else (interval.low, interval.high)


def said(found: Assessment, model: str) -> list[object]:
    """All that is said of a model, PER first."""
    own = found.uncertainty.of(model)
    return [
        ends(own.per),
        ends(own.reference_per),
        own.per_above_zero,
        own.probability_best,
        own.probability_ranked,
        own.reason,
    ]


def assert_same(found: Assessment, other: Assessment) -> None:
    for own in found.uncertainty.models:
        for mine, yours in zip(said(found, own.model), said(other, own.model), strict=True):
            assert mine == (yours if yours is None or isinstance(yours, str) else pytest.approx(yours, rel=1e-6))


@limited
@given(tasks, st.randoms(use_true_random=False))
def test_the_order_of_models_does_not_matter(task: Simulated, random: Random) -> None:
    shuffled = list(task.rows)
    random.shuffle(shuffled)
    chosen = Settings(reference="m0", quality_floor=0.5 if task.rows[0].accuracy is not None else None)
    assert_same(
        assess(task.rows, task.replicates, chosen, FEW_DRAWS), assess(shuffled, task.replicates, chosen, FEW_DRAWS)
    )


@limited
@given(tasks, st.sampled_from(COLUMNS), st.floats(1e-6, 1e6))
def test_the_unit_of_an_axis_does_not_matter(task: Simulated, axis: Axis, factor: float) -> None:
    name = axis.value
    rows = [replace(row, **{name: getattr(row, name) * factor}) for row in task.rows]
    replicates = {model: replace(own, **{name: getattr(own, name) * factor}) for model, own in task.replicates.items()}
    assert_same(assess(task.rows, task.replicates, chance=FEW_DRAWS), assess(rows, replicates, chance=FEW_DRAWS))


@limited
@given(tasks, st.sampled_from(COLUMNS), st.floats(0.1, 10))
def test_how_good_another_model_is_does_not_touch_reference_intervals(
    task: Simulated, axis: Axis, factor: float
) -> None:
    """The set of the others enters through their scatter only, which a factor on all their replicates keeps."""
    name, last = axis.value, task.rows[-1]
    rows = [*task.rows[:-1], replace(last, **{name: getattr(last, name) * factor})]
    own = task.replicates[last.model]
    replicates = {**task.replicates, last.model: replace(own, **{name: getattr(own, name) * factor})}
    before, after = (
        assess(task.rows, task.replicates, chance=FEW_DRAWS),
        assess(rows, replicates, chance=FEW_DRAWS),
    )
    for row in task.rows[:-1]:
        mine, other = (ends(found.uncertainty.of(row.model).reference_per) for found in (before, after))
        assert mine == (other if other is None else pytest.approx(other, rel=1e-6))


def repeated(replicates: dict[str, Replicates], times: int) -> dict[str, Replicates]:
    """Each replicate as often as that, so that the scatter stays."""
    columns = ("throughput", "memory", "latency", "items_per_second", "seconds_per_item")
    return {
        model: replace(
            own,
            **{name: np.tile(getattr(own, name), times) for name in columns},
            scores=np.tile(own.scores, (1, times)),
        )
        for model, own in replicates.items()
    }


@limited
@given(tasks)
def test_more_replicates_narrow_the_intervals_of_performance(task: Simulated) -> None:
    few = assess(task.rows, task.replicates)
    many = assess(task.rows, repeated(task.replicates, 4))
    for row in task.rows:
        for axis in COLUMNS:
            if axis.value in many.uncertainty.unequal:
                continue  # more replicates may also show that a model scatters more than the others
            wide, narrow = (getattr(found.uncertainty.of(row.model).figures, axis.value) for found in (few, many))
            assert narrow.high / narrow.low < 1 + 0.75 * (wide.high / wide.low - 1)


@limited
@given(tasks)
@example(simulate(Setting(3, 0.001, models=6, items=30), np.random.default_rng(1982)))
def test_intervals_hold_the_value_and_shares_add_up(task: Simulated) -> None:
    found = assess(task.rows, task.replicates, chance=FEW_DRAWS)
    total = sum(own.probability_best or 0 for own in found.uncertainty.models)
    assert total == pytest.approx(1)
    for own, on_published, on_reference in zip(
        found.uncertainty.models, found.published.scores, found.reference.scores, strict=True
    ):
        assert own.reason is None
        assert own.reference_per is not None
        assert 0 <= own.reference_per.low <= (on_reference.value or 0) <= own.reference_per.high
        # Only a model that may have no item right may be worth nothing beside the reference.
        assert own.reference_per.low > 0 or (own.figures.accuracy is not None and own.figures.accuracy.low == 0)
        assert (own.per is not None) == bool(on_published.value)
        assert (own.per_above_zero is not None) == (on_published.value == 0)
        if own.per is not None:
            assert 0 <= own.per.low <= (on_published.value or 0) <= own.per.high <= 1
