"""`perbench load` over TLS, with keys, beside proxies, and while the clock of the machine is set."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import perbench_bench
from perbench_bench.truth import truth_server

TLS = Path(__file__).parents[3] / "golden" / "tls"


def load(url: str, requests: int = 24, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    program = f"{before}\nfrom perbench.cli import main; main()"
    command = [sys.executable, "-c", program, "load", "--url", url, "--model", "m"]
    options = [
        "--protocol", "openai-chat", "--concurrency", "4", "--requests", str(requests), "--input-tokens", "40",
        "--output-tokens", "6", "--json",
    ]  # fmt: skip
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=180, check=False, env=os.environ | environment
    )


def test_tls_with_an_authority_of_ones_own() -> None:
    with truth_server(tls_certificate=TLS / "certificate.pem", tls_key=TLS / "key.pem") as server:
        url = server.url.replace("127.0.0.1", "localhost")
        trusted = load(url, SSL_CERT_FILE=str(TLS / "certificate.pem"))
        stranger = load(url)
    assert trusted.returncode in {0, 3}, trusted.stderr
    assert json.loads(trusted.stdout)["errors"] == 0
    assert stranger.returncode == 4
    assert "certificate verify failed" in stranger.stderr
    assert "Traceback" not in stranger.stderr


def test_a_key_is_sent_and_never_shown() -> None:
    with truth_server(api_key="let-me-in") as server:
        right = load(server.url, PERBENCH_API_KEY="let-me-in")
        wrong = load(server.url, PERBENCH_API_KEY="open-sesame")
        none = load(server.url)
    assert right.returncode in {0, 3}, right.stderr
    assert (wrong.returncode, none.returncode) == (4, 4)
    assert "RequestsRefused" in wrong.stderr
    assert "HTTP 401" in wrong.stderr
    assert not any(key in done.stdout + done.stderr for done in (right, wrong) for key in ("let-me-in", "open-sesame"))


def test_no_proxy_of_the_environment_is_used() -> None:
    """A load through a proxy would measure the proxy."""
    dead = "http://127.0.0.1:9"
    with truth_server() as server:
        done = load(server.url, HTTP_PROXY=dead, http_proxy=dead, HTTPS_PROXY=dead, ALL_PROXY=dead, NO_PROXY="")
    assert done.returncode in {0, 3}, done.stderr
    assert json.loads(done.stdout)["errors"] == 0


CLOCK_THAT_JUMPS = """
import datetime, itertools, time
jumps = itertools.cycle((-3600, 7200, 0, 86400))
real, real_ns = time.time, time.time_ns
time.time = lambda: real() + next(jumps)
time.time_ns = lambda: real_ns() + next(jumps) * 10**9
class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=next(jumps))
datetime.datetime = Jumping
"""


def test_a_clock_that_is_set_again_and_again_moves_no_figure() -> None:
    with truth_server({"timing": {"firstMs": 50, "gapMs": 10}}) as server:
        began = time.monotonic()
        done = load(server.url, requests=60, before=CLOCK_THAT_JUMPS)
        took = time.monotonic() - began
    assert done.returncode in {0, 3}, done.stderr
    figures = json.loads(done.stdout)
    assert figures["errors"] == 0
    assert 0 < figures["duration_s"] < took
    assert 50 <= figures["ttft_ms"]["p50"] < 500
    assert figures["e2e_ms"]["max"] < 1_000 * took


def test_the_engine_knows_no_wall_clock() -> None:
    engine = Path(perbench_bench.__file__).parent / "engine"
    found = [file.name for file in engine.glob("*.py") if re.search(r"time\.time|datetime", file.read_text())]
    assert found == []
