"""Times are compared on machines that stall: again, a bounded number of times."""

import time
from collections.abc import Callable
from typing import TypeVar

TIMES = 6

Measured = TypeVar("Measured")


def compared(measure: Callable[[], Measured], compare: Callable[[Measured], object], times: int = TIMES) -> Measured:
    """Measure, and measure again until the comparison of times holds once. Gives what held.

    Who waits for a core is late now and then; a stamp at the wrong place is wrong every time. What `measure` asserts
    must hold each time: that is the place of what does not depend on time.
    """
    for number in range(1, times):
        measured = measure()
        try:
            compare(measured)
        except AssertionError:
            time.sleep(2 ** (number - 2))  # others want the machine in bursts
        else:
            return measured
    measured = measure()
    compare(measured)
    return measured
