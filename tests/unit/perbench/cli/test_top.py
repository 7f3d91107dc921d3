"""`perbench top`: one picture for a pipe, one line for what cannot be."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from perbench.live.address import SILENT_LOOKS, Address, NoPageError
from tests.support.cli import Perbench, runner
from tests.support.live_pages import page


@pytest.fixture
def perbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Perbench:
    return runner(monkeypatch, capsys, "top", "crd")


@contextmanager
def serving(pages: list[str | None]) -> Iterator[str]:
    """An address that shows one page after the other, the last one for ever; None: it answers 503."""
    left = list(pages)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = left.pop(0) if len(left) > 1 else left[0]
            body = (text or "").encode()
            self.send_response(200 if text is not None and self.path == "/metrics" else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_pipe_gets_one_picture_with_rates(perbench: Perbench) -> None:
    with serving([page(requests=0, tokens=0), page(requests=40, tokens=900)]) as address:
        code, out, error = perbench("top", address, "--every", "0.5")
    assert (code, error) == (0, "")
    first, heads, row, *_ = out.splitlines()
    assert first == "ml/night: small, run_id 0123456789, round 0, attempt 1, TGI"
    assert heads.startswith("MODEL/TASK")
    assert row.startswith("small/topics")
    rate = float(row.split()[2])
    assert 0 < rate <= 80  # 40 requests in half a second, or in what the machine made of it


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("ftp://127.0.0.1:1", 2, "no address of metrics"),
        ("http://", 2, "no address of metrics"),
        ("http://127.0.0.1:99999", 2, "no address of metrics"),
        ("127.0.0.1:9", 1, "http://127.0.0.1:9/metrics: no metrics: "),
    ],
)
def test_what_cannot_be_is_said_in_one_line(perbench: Perbench, url: str, code: int, said: str) -> None:
    exited, out, error = perbench("top", url)
    assert (exited, out) == (code, "")
    assert said in error
    assert len(error.splitlines()) == 1


def test_another_server_is_no_bench_pod(perbench: Perbench) -> None:
    with serving(["up 1\n"]) as address:
        code, _, error = perbench("top", address)
    assert code == 1
    assert "it shows no perbench_run_info" in error


def test_a_pod_that_was_there_and_is_gone_has_ended() -> None:
    with serving([page(requests=1), None]) as address:
        looks = Address(address)
        assert not looks.look().over
        later = [looks.look() for _ in range(SILENT_LOOKS)]
    assert [each.over for each in later] == [False] * (SILENT_LOOKS - 1) + [True]
    assert set(later[-1].pages.values()) == {None}


def test_one_that_never_answered_is_an_error() -> None:
    with serving([None]) as address, pytest.raises(NoPageError):
        Address(address).look()
