import numpy as np
import pytest

from perbench.statistics import bootstrap
from perbench.statistics.bootstrap import paired_means

DRAWS = 20_000


def draw(
    scores: np.ndarray, clusters: np.ndarray | None = None, counts: np.ndarray | None = None, seed: int = 1
) -> np.ndarray:
    return paired_means(
        scores,
        np.ones_like(scores) if counts is None else counts,
        np.arange(len(scores)) if clusters is None else clusters,
        np.random.default_rng(seed),
        DRAWS,
    )


def some_scores(items: int = 30, models: int = 3) -> np.ndarray:
    return (np.random.default_rng(4).random((items, models)) < 0.6).astype(np.float64)


def test_mean_and_standard_error_are_those_of_the_sample() -> None:
    scores = some_scores()
    drawn = draw(scores)
    assert drawn.mean(axis=0) == pytest.approx(scores.mean(axis=0), abs=0.005)
    # Not the error of k of k, which is smaller by sqrt(29/30): 1.7 %.
    assert drawn.std(axis=0) == pytest.approx(scores.std(axis=0, ddof=1) / np.sqrt(30), rel=0.012)


def test_models_share_their_items() -> None:
    scores = some_scores(models=1)
    drawn = draw(np.hstack([scores, scores, 1 - scores]))
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert drawn[:, 0] == pytest.approx(1 - drawn[:, 2])


def test_items_of_one_source_are_drawn_together() -> None:
    # Ten sources of three items with one answer each: no more information than ten items.
    scores = some_scores(10, 1)
    together = draw(scores.repeat(3, axis=0), np.arange(10).repeat(3))
    assert together.std() == pytest.approx(scores.std(ddof=1) / np.sqrt(10), rel=0.02)


def test_items_without_a_score_do_not_count() -> None:
    scores = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    counts = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    drawn = draw(scores, counts=counts)
    assert drawn[:, 0].mean() == pytest.approx(1 / 2, abs=0.01)
    assert drawn[:, 1].mean() == pytest.approx(1 / 3, abs=0.02)


def test_a_draw_of_nothing_but_unscored_items_stays_at_the_mean() -> None:
    drawn = paired_means(
        np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]]), np.arange(2), np.random.default_rng(1), 1000
    )
    assert (drawn == 1).all()


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = some_scores()
    whole = draw(scores)
    monkeypatch.setattr(bootstrap, "CHUNK", 7 * 30)
    assert (draw(scores) == whole).all()


def test_one_cluster_is_refused() -> None:
    with pytest.raises(ValueError, match="1 clusters"):
        draw(some_scores(), np.zeros(30, dtype=np.int64))
