import pytest

from perbench_operator.metrics.reconciles import BUCKETS, Reconciles


def test_each_look_is_in_the_bucket_whose_end_it_does_not_pass() -> None:
    looks = Reconciles()
    for seconds in (0.0, BUCKETS[0], BUCKETS[0] + 1e-9, BUCKETS[-1], BUCKETS[-1] + 1):
        looks.ended(seconds, failed=False)
    assert (looks.counts[0], looks.counts[1], looks.counts[-2], looks.counts[-1]) == (2, 1, 1, 1)
    assert sum(looks.counts) == 5


def test_looks_that_failed_count_as_looks_and_as_errors() -> None:
    looks = Reconciles()
    looks.ended(0.5, failed=True)
    looks.ended(0.25, failed=False)
    assert (sum(looks.counts), looks.errors) == (2, 1)
    assert looks.seconds == pytest.approx(0.75)
