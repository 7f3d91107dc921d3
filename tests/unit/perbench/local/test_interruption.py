import os
import signal
from collections.abc import Iterator

import pytest

from perbench.local.interruption import SIGNALS, Interrupted, Interruption


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """Also where a shell has started the tests in the background, which has them ignore some."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_interrupts(number: signal.Signals) -> None:
    with Interruption() as interruption:
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), number)
        assert interruption.requested


def test_a_second_signal_does_not_cut_the_stopping_short() -> None:
    with Interruption():
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)


def stop_in_a_deferred_block(interruption: Interruption, done: list[str]) -> None:
    with interruption.deferred():
        with interruption.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("inner")
        done.append("outer")


def test_in_a_deferred_block_a_signal_waits_for_its_end() -> None:
    done: list[str] = []
    with Interruption() as interruption:
        with pytest.raises(Interrupted):
            stop_in_a_deferred_block(interruption, done)
        assert done == ["inner", "outer"]


def fail_in_a_deferred_block(interruption: Interruption) -> None:
    with interruption.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("first")


def test_an_error_in_a_deferred_block_is_not_replaced() -> None:
    with Interruption() as interruption, pytest.raises(ValueError, match="first"):
        fail_in_a_deferred_block(interruption)


def test_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interruption.requested
    finally:
        signal.signal(signal.SIGHUP, before)
