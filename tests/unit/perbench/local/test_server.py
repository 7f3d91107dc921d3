"""The local llama.cpp server, really started: what it says, how it ends, and that nothing of it stays."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from perbench.failures import Blame, RunError, UsageError
from perbench.local import server as server_module
from perbench.local.server import NICENESS, LocalServer, ServerStart, start_server
from perbench.local.sources import find_model
from perbench.runtimes.llamacpp import LlamaCpp
from perbench.runtimes.llamacpp_local import LocalSettings
from perbench_bench.memory import MemoryReader
from perbench_bench.memory_processes import GivenProcesses
from tests.support.processes import Process, nothing_stays, wait_until

READY_SECONDS = 60.0
LOWEST_PRIORITY = 19
"""Niceness ends there (setpriority(2))."""
SETTINGS = LocalSettings(slots=2, context=1024, threads=1)


@pytest.fixture(scope="module")
def model() -> Path:
    return find_model("packaged:smollm2-135m", None, Path(), "model").path


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server") / "server.log"


@pytest.fixture(scope="module")
def server(model: Path, log: Path) -> Iterator[LocalServer]:
    with nothing_stays(), start_server(ServerStart(model, SETTINGS), log, READY_SECONDS) as running:
        yield running


def state(pid: int) -> str:
    """The kernel's letter for the state of a process; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    return state(pid) in {"", "Z", "X"}


def halt(pid: int) -> None:
    """Make a process as still as one that loads its model: it handles no signal."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) == "T", "the process stands still")


def children(pid: int) -> list[int]:
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def post(url: str, path: str, body: dict[str, object]) -> dict[str, Any]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Connection": "close"})
    answer = connection.getresponse()
    document: dict[str, Any] = json.loads(answer.read())
    assert answer.status == 200, document
    connection.close()
    return document


def failure_of(start: ServerStart, log: Path, ready_seconds: float = READY_SECONDS) -> RunError:
    with nothing_stays(), pytest.raises(RunError) as caught:
        start_server(start, log, ready_seconds)
    assert caught.value.failure.blame is Blame.TARGET
    return caught.value


def test_it_says_what_it_is(server: LocalServer) -> None:
    assert server.alive()
    assert (server.exit_code, server.failure()) == (None, None)
    assert server.url.startswith("http://127.0.0.1:")
    assert (server.listening.slots, server.listening.slot_context) == (2, 512)
    assert server.listening.version.split(".")[0] >= "2026"
    assert 0 < server.listening.ready_seconds < READY_SECONDS


def test_it_steps_back_behind_the_load_generator(server: LocalServer) -> None:
    expected = min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, LOWEST_PRIORITY)
    assert server.listening.nice == expected
    assert os.getpriority(os.PRIO_PROCESS, server.pid) == expected
    group = Path(f"/proc/{server.pid}/autogroup")
    if group.exists():
        assert group.read_text().split() == [group.read_text().split()[0], "nice", str(NICENESS)]
        assert server.listening.autogroup_nice == NICENESS


def test_it_is_no_member_of_our_process_group(server: LocalServer) -> None:
    assert os.getsid(server.pid) == server.pid


def test_it_answers_without_a_prefix_cache(server: LocalServer) -> None:
    body = {"messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 3, **LlamaCpp().request_additions()}
    first, second = (post(server.url, "/v1/chat/completions", body) for _ in range(2))
    assert first["usage"]["completion_tokens"] >= 1
    for answer in (first, second):
        assert answer["usage"].get("prompt_tokens_details", {}).get("cached_tokens", 0) == 0


def test_even_a_request_that_says_nothing_of_it_finds_no_cache(server: LocalServer) -> None:
    body = {"prompt": "One two three four five six seven", "max_tokens": 1}
    answers = [post(server.url, "/v1/completions", body) for _ in range(2)]
    assert [answer["timings"]["cache_n"] for answer in answers] == [0, 0]


def test_its_memory_is_read(server: LocalServer, model: Path) -> None:
    reader = MemoryReader(GivenProcesses((server.pid,)))
    reader.start()
    record = reader.stop().memory
    assert record.footprint_bytes is not None
    assert record.footprint_bytes > model.stat().st_size * 0.9
    assert record.reserved_bytes is not None
    assert record.reserved_bytes >= record.footprint_bytes


def test_its_log_is_kept(server: LocalServer, log: Path) -> None:
    assert server.alive()
    wait_until(lambda: f"listening on {server.url}" in log.read_text(), "its log has it")


def test_threads_cache_and_context_take_effect(model: Path, tmp_path: Path) -> None:
    """A KV cache of 8192 tokens is 180 MiB at f16 and 51 MiB at q4_0."""
    footprints = {}
    for kind in ("f16", "q4_0"):
        settings = LocalSettings(slots=1, context=8192, threads=3, cache_type_k=kind, cache_type_v=kind)
        log = tmp_path / f"{kind}.log"
        with start_server(ServerStart(model, settings), log, READY_SECONDS) as server:
            assert server.listening.slot_context == 8192
            reader = MemoryReader(GivenProcesses((server.pid,)))
            reader.start()
            footprints[kind] = reader.stop().memory.footprint_bytes
        assert "n_threads = 3" in log.read_text()
    assert footprints["f16"] is not None
    assert footprints["q4_0"] is not None
    assert footprints["f16"] - footprints["q4_0"] > 100 * 2**20


def test_a_killed_server_is_found_dead_and_says_how(model: Path, tmp_path: Path) -> None:
    with nothing_stays(), start_server(ServerStart(model, SETTINGS), tmp_path / "log", READY_SECONDS) as server:
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not server.alive(), "the server ends")
        assert server.exit_code == -signal.SIGKILL
        failure = server.failure()
        assert failure is not None
        assert (failure.blame, failure.reason, failure.exit_code) == (Blame.TARGET, "ServerExited", -9)
        assert "by SIGKILL" in failure.message


def test_stopped_it_ends_by_itself_and_is_no_failure(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STOP_SECONDS", 60.0)
    server = start_server(ServerStart(model, SETTINGS), tmp_path / "log", READY_SECONDS)
    server.stop()
    server.stop()
    assert (server.exit_code, server.failure()) == (0, None)
    assert gone(server.pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=5)


def test_a_server_that_ignores_the_signal_is_killed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STOP_SECONDS", 0.2)
    server = start_server(ServerStart(model, SETTINGS), tmp_path / "log", READY_SECONDS)
    halt(server.pid)
    server.stop()
    assert server.exit_code == -signal.SIGKILL


def test_a_question_that_is_not_answered_once_is_asked_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that stalls may lose any of them."""
    real, lost = server_module._get, {"/health", "/props"}

    def lossy(url: str, path: str) -> Any:
        if path not in lost:
            return real(url, path)
        lost.remove(path)
        return None

    monkeypatch.setattr(server_module, "_get", lossy)
    with start_server(ServerStart(model, SETTINGS), tmp_path / "log", READY_SECONDS) as server:
        assert server.listening.slots == 2
    assert lost == set()


def test_an_exception_stops_it(model: Path, tmp_path: Path) -> None:
    with (
        nothing_stays(),
        pytest.raises(KeyboardInterrupt),
        start_server(ServerStart(model, SETTINGS), tmp_path / "log", READY_SECONDS) as server,
    ):
        raise KeyboardInterrupt
    assert gone(server.pid)


def test_not_a_model_inside(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(500))
    error = failure_of(ServerStart(broken, SETTINGS), tmp_path / "log")
    assert (error.failure.reason, error.failure.exit_code) == ("ServerExited", 1)
    assert "before the model was ready, exit code 1: " in str(error)
    assert "failed to load model" in str(error)


def test_a_truncated_model(model: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with model.open("rb") as whole:
        cut.write_bytes(whole.read(8 << 20))
    assert failure_of(ServerStart(cut, SETTINGS), tmp_path / "log").failure.reason == "ServerExited"


def test_a_model_that_has_gone(tmp_path: Path) -> None:
    assert failure_of(ServerStart(tmp_path / "m.gguf", SETTINGS), tmp_path / "log").failure.reason == "ModelNotFound"


def test_a_port_that_is_taken(model: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        error = failure_of(ServerStart(model, SETTINGS, port=other.getsockname()[1]), tmp_path / "log")
    assert error.failure.reason == "ServerExited"
    # llama.cpp writes its words from a thread of its own, which may be too late for them.
    assert "couldn't bind" in str(error) or "could not be started" in str(error)


def test_one_that_crashes_at_its_start(model: Path, tmp_path: Path) -> None:
    crashing = {"PYTHONHOME": str(tmp_path)}
    error = failure_of(ServerStart(model, SETTINGS, environment=crashing), tmp_path / "log")
    assert error.failure.reason == "ServerExited"


@pytest.fixture
def never_ready(model: Path, tmp_path: Path) -> ServerStart:
    """One that does nothing, however long somebody is late to look."""
    (tmp_path / "sitecustomize.py").write_text("import time; time.sleep(600)\n")
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    return ServerStart(model, SETTINGS, environment={"PYTHONPATH": paths})


def test_one_that_is_not_ready_in_time(never_ready: ServerStart, tmp_path: Path) -> None:
    error = failure_of(never_ready, tmp_path / "log", ready_seconds=0.01)
    assert error.failure.reason == "ServerNotReady"
    assert "within 0.01 s" in str(error)


def test_the_words_of_an_earlier_server_in_the_same_log_are_not_its_own(
    never_ready: ServerStart, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text("0.00.000.001 E out of memory, long ago\n")
    error = failure_of(never_ready, log, ready_seconds=0.01)
    assert "long ago" not in str(error)
    assert "long ago" in log.read_text()


def test_without_xllamacpp_it_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path) -> None:
    monkeypatch.setattr(server_module.importlib.util, "find_spec", lambda name: None)  # noqa: ARG005 - any module
    with pytest.raises(UsageError, match=r"pip install 'perbench\[local\]'"):
        start_server(ServerStart(model, SETTINGS), tmp_path / "log", READY_SECONDS)


PARENT = """
import signal, sys, threading, time
from pathlib import Path
from perbench.local.server import ServerStart, start_server
from perbench.runtimes.llamacpp_local import LocalSettings

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored

def start():
    global server
    server = start_server(ServerStart(Path(sys.argv[1]), LocalSettings(slots=1, context=256, threads=1)),
                          Path(sys.argv[2]), 60)

if sys.argv[3] == "thread":
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
else:
    start()
print(server.pid, server.url, flush=True)
time.sleep(600)
"""


@contextmanager
def parent(model: Path, log: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PARENT, str(model), str(log), how]
    with Process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", ["main", "thread"])
def test_it_ends_with_a_parent_that_is_killed(model: Path, tmp_path: Path, how: str) -> None:
    with nothing_stays(), parent(model, tmp_path / "log", how) as process:
        assert process.stdout is not None
        pid, url = process.stdout.readline().split()
        # Started by a thread that has ended, it must still be there.
        assert post(url, "/tokenize", {"content": "yes"})["tokens"]
        if how == "main":
            halt(int(pid))  # only the kernel can end it
        process.kill()
        wait_until(lambda: gone(int(pid)), "the server ends with its parent")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_a_parent_that_ends_while_the_model_loads(model: Path, tmp_path: Path, number: int) -> None:
    with nothing_stays(), parent(model, tmp_path / "log", "main") as process:
        wait_until(lambda: bool(children(process.pid)), "the server is started")
        [pid] = children(process.pid)
        process.send_signal(number)
        wait_until(lambda: process.poll() is not None, "the parent ends")
        wait_until(lambda: gone(pid), "the server ends with its parent")
