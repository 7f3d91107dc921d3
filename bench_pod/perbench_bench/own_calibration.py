"""A calibration of this machine in a child process, which ends at once when it is not wanted any more."""

import asyncio
import contextlib
import sys

from pydantic import ValidationError

from perbench.failures import shorten
from perbench_bench.calibration import Calibration

SPARE_SECONDS = 30.0
"""Beside the seconds of the calibration itself: starting two processes on a busy machine."""


class NoCalibrationError(Exception):
    """There is none; says why. The run itself will say what it could measure."""


async def calibrate_apart(seconds: float) -> Calibration:
    """Raises NoCalibrationError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "perbench_bench.calibration", f"{seconds:g}",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(seconds + SPARE_SECONDS):
            said, complaint = await process.communicate()
        return Calibration.model_validate_json(said)
    except TimeoutError as error:
        raise NoCalibrationError(f"it took longer than {seconds + SPARE_SECONDS:g} s") from error
    except ValidationError as error:
        last = (complaint.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise NoCalibrationError(shorten(last, 300)) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
