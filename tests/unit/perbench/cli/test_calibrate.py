"""`perbench calibrate` as a user types it."""

import json
import subprocess
import sys
import time
from typing import Any

from perbench.cli.calibrate_text import calibration_text
from tests.support.quiet import compared

STEP = {
    "asked": 400.0, "trusted": True, "ttft_error_ms": 0.17, "itl_error_ms": 0.0, "rate_error_percent": -0.25,
    "concurrency_error_percent": 1.5, "client_error_ms": 0.13, "reasons": [], "advice": "",
}  # fmt: skip


def calibrate(*options: str) -> subprocess.CompletedProcess[str]:
    program = "from perbench.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "calibrate", *options], capture_output=True, text=True, timeout=180, check=False
    )


def test_five_seconds_say_how_far_off_this_machine_is() -> None:
    def measure() -> dict[str, Any]:
        began = time.monotonic()
        done = calibrate("--seconds", "5", "--json")
        took = time.monotonic() - began
        assert done.returncode in {0, 3}, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        assert took >= found["seconds"]
        for step in (*found["rates"], *found["concurrencies"]):
            assert step["trusted"] or step["reasons"], "what is not trusted has a reason"
        assert found["advice"]
        assert (done.returncode == 0) is (None not in (found["rate_trusted"], found["concurrency_trusted"]))
        return found

    def compare(found: dict[str, Any]) -> None:
        assert found["seconds"] <= 7.5, "it keeps to its time, but for what is owed and the last answers"
        assert found["rates"]
        assert found["concurrencies"]

    compared(measure, compare)


def test_the_table() -> None:
    document = {
        "reference": {"tokens": 8, "ttft_ms": 50.0, "itl_ms": 10.0},
        "rates": [STEP],
        "concurrencies": [
            STEP
            | {"asked": 64.0, "trusted": False, "concurrency_error_percent": 7.5, "reasons": ["p50 of the read delay"]}
        ],
        "advice": "loads of up to 400 requests/s can be measured here",
    }
    assert calibration_text(document).splitlines() == [
        "answers of 8 tokens, the first after 50 ms, then every 10 ms; reported less true:",
        "",
        "load                       TTFT ms   ITL ms   rate %  in flight %   own ms",
        "400 requests/s         ok    +0.17    +0.00    -0.25        +1.50     0.13",
        "64 in flight           no    +0.17    +0.00    -0.25        +7.50     0.13",
        "    p50 of the read delay",
        "",
        "loads of up to 400 requests/s can be measured here",
    ]


def test_too_little_time_is_refused() -> None:
    done = calibrate("--seconds", "1")
    assert done.returncode == 2
    assert "--seconds" in done.stderr
