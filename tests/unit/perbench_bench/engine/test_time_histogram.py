"""A histogram that one thread fills while others take it."""

import threading

from perbench_bench.engine.time_histogram import BATCH, TimeHistogram


def test_taking_it_changes_nothing_and_misses_nothing() -> None:
    histogram = TimeHistogram()
    for number in range(BATCH + 10):
        histogram.add([float(number % 50)], [2])
        if number in {5, BATCH - 1, BATCH + 9}:
            assert int(histogram.taken().per_bin.sum()) == 2 * (number + 1)
    taken, document = histogram.taken(), histogram.document()
    assert (int(taken.per_bin.sum()), taken.sum_ms, taken.max_ms) == (document.total, document.sum, document.max)
    assert document.max == 49


def test_nothing_is_nothing() -> None:
    assert TimeHistogram().taken().max_ms is None
    assert TimeHistogram().document().total == 0


def test_another_thread_never_sees_it_shrink() -> None:
    histogram = TimeHistogram()
    totals: list[tuple[int, float]] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            taken = histogram.taken()
            totals.append((int(taken.per_bin.sum()), taken.sum_ms))

    looking = threading.Thread(target=look)
    looking.start()
    added = 0
    while added < 30_000 or len(totals) < 2:  # the other thread may be late
        histogram.add([1.0, 2.0, 3.0])
        added += 1
    over.set()
    looking.join()
    assert totals == sorted(totals)
    assert all(sum_ms == 2.0 * total for total, sum_ms in totals)
    assert histogram.document().total == 3 * added
