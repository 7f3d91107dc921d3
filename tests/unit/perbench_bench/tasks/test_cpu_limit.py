import signal

import pytest

from perbench_bench.tasks.cpu_limit import CpuLimitReached, cpu_limit


def spin(seconds: float) -> None:
    with cpu_limit(seconds):
        while True:
            pass


def test_a_busy_block_is_stopped() -> None:
    with pytest.raises(CpuLimitReached):
        spin(0.02)


def test_afterwards_all_is_as_before() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with cpu_limit(60):
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0
    assert signal.getsignal(signal.SIGVTALRM) is before


def test_an_error_of_the_block_comes_through() -> None:
    with pytest.raises(ValueError, match="invalid literal"), cpu_limit(60):
        int("x")
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0
