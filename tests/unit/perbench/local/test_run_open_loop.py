"""`perbench run` with an open loop, against a truth server."""

import time
from pathlib import Path

import pytest
import yaml

from tests.support.benchmarks import endpoint, inline_task, write_benchmark
from tests.support.quiet import compared
from tests.support.runs import Ended, run
from tests.support.servers import sport_server


def test_an_open_loop_is_measured_and_told(tmp_path: Path) -> None:
    ended = compared(lambda: measured(tmp_path), is_on_time)
    [record] = ended.records("m")
    assert (record.concurrency, record.rate) == (None, 80.0)
    assert record.client.on_time_percent is not None
    resolved = ended.status["run"]["resolved"]
    assert (resolved["rate"], resolved["arrival"], resolved["maxInFlight"]) == ("80", "Constant", 32)
    assert resolved["validity"]["onTimePercent"] == 50
    assert "concurrency" not in resolved
    assert "80 requests/s (Constant)" in ended.out
    assert ended.status["models"][0]["tasks"][0]["clientErrorMilliseconds"]


def is_on_time(ended: Ended) -> None:
    """Unless the machine has stalled."""
    [record] = ended.records("m")
    assert record.window_seconds == pytest.approx(0.5, rel=0.05)
    assert record.requests_in_window / record.window_seconds == pytest.approx(80, rel=0.15)


def measured(folder: Path) -> Ended:
    """One more run."""
    place = folder / str(time.monotonic_ns())
    place.mkdir()
    with sport_server() as server:
        file = write_benchmark(place / "open.yaml", [endpoint("m", server.url)], [inline_task("first", items=40)])
        document = yaml.safe_load(file.read_text())
        document["spec"]["load"] = {
            "rate": "80", "arrival": "Constant", "maxInFlight": 32, "repeats": 1, "api": "Chat",
            "warmup": {"requests": 0, "seconds": 0}, "validity": {"onTimePercent": 50},
        }  # fmt: skip
        file.write_text(yaml.safe_dump(document))
        return run(file)


def test_an_open_loop_with_too_few_items_is_refused(tmp_path: Path) -> None:
    file = write_benchmark(
        tmp_path / "few.yaml", [endpoint("m", "http://127.0.0.1:9")], [inline_task("first", items=12)]
    )
    document = yaml.safe_load(file.read_text())
    document["spec"]["load"] = {"rate": 5}
    file.write_text(yaml.safe_dump(document))
    ended = run(file)
    assert ended.exit_code == 2
    assert "20 with load.rate" in ended.err
