from dataclasses import replace

import numpy as np
import pytest

from perbench.per import Replicates
from tests.support.simulation import replicates_of

THREE = replicates_of("m", [1, 2, 4], [5, 5, 5], [9, 8, 7], np.array([[1.0, np.nan, 0.0], [1.0, 1.0, 1.0]]))


def test_logarithms_of_the_figures_asked_for() -> None:
    logs = THREE.logarithms(("memory", "throughput"))
    assert logs == pytest.approx(np.log([[5, 1], [5, 2], [5, 4]]))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_figures_without_a_logarithm(value: float) -> None:
    flawed = replace(THREE, latency=np.array([1.0, value, 1.0]))
    assert flawed.logarithms(("latency",)) is None
    assert flawed.logarithms(("memory",)) is not None


def test_sums_of_scores_pass_over_what_was_not_scored() -> None:
    sums, counts = THREE.score_sums()
    assert sums.tolist() == [1, 3]
    assert counts.tolist() == [2, 3]


def test_clusters() -> None:
    assert THREE.clusters == 2
    assert replace(THREE, sources=np.array([7, 7])).clusters == 1
    assert replicates_of("m", [1], [1], [1]).clusters == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"memory": np.ones(2)},
        {"scores": np.ones((2, 2))},
        {"scores": np.ones(3)},
        {"sources": np.zeros(3, dtype=np.int64)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="m: "):
        Replicates(**{**{name: getattr(THREE, name) for name in THREE.__dataclass_fields__}, **changes})
