"""perbench beside other load generators, judged by the truth server (`python -m tests.bench.peers`, about 2 minutes).

Each tool puts the same load on a truth server of its own, one after the other: OpenAI's completions, streamed, token
counts from the server, all else as the tool has it by default. What it reports is held against the record of that very
run. Times to first token are from the send, for that is what all of them report. Client and server share the machine,
so errors within one table can be compared, and nothing else.

The others come from PyPI at a fixed version, once, each into an environment of its own under
`$XDG_CACHE_HOME/perbench-peers` (2 GB together). They are given a tokenizer of a thousand words made here and reach no
model hub. `--python` names an interpreter for those that need a newer one than perbench runs on.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perbench_bench.truth import Record, Script, truth_server
from perbench_bench.truth.delay import constant
from perbench_bench.truth.script import Timing

RUN_SECONDS = 120
INSTALL_SECONDS = 1200
"""A child that has not ended by then is killed."""
PROMPT_TOKENS = 16
NO_HUB = "http://127.0.0.1:9"
"""Nothing answers there: a tool that wants a model hub fails and says so."""


@dataclass(frozen=True)
class Load:
    """Asked of every tool; open loop with `rate` (Poisson), else closed."""

    name: str
    script: Script
    requests: int
    tokens: int
    rate: int | None = None
    concurrency: int | None = None


STEADY = Script(timing=Timing(first_ms=constant(100), gap_ms=constant(10)))
FAST = Script(timing=Timing(first_ms=constant(5), gap_ms=constant(2)))
LOADS = (
    Load("50 requests/s", STEADY, 250, 20, rate=50),
    Load("150 requests/s", STEADY, 750, 20, rate=150),
    Load("64 in flight", FAST, 6000, 8, concurrency=64),
)


@dataclass(frozen=True)
class Figures:
    """Means in ms, requests per second."""

    ttft_ms: float
    itl_ms: float
    rate: float


@dataclass(frozen=True)
class Reported:
    """What a tool says of its run, and whether it calls it invalid."""

    figures: Figures
    verdict: str


@dataclass(frozen=True)
class Truth:
    """What the server's record says of the same run."""

    figures: Figures
    in_flight: float
    answered: int


@dataclass(frozen=True)
class Tool:
    """How a load generator is asked and how its answer is read."""

    name: str
    command: Callable[[Load, str, Path], list[str]]
    """Of the load, the server's URL and an empty directory for its files."""
    read: Callable[[Path], Reported]
    """From that directory, where its standard output lies as `stdout`."""
    version: str | None = None
    """On PyPI; None: perbench itself."""
    python: tuple[int, int] = (3, 11)
    """The oldest it runs on."""
    rate_to_last_answer: bool = True
    """Its rate counts the time until the last answer has ended, not until the last request."""


class CannotRunError(Exception):
    """A tool gave no figures; the message says why, in its own words where there are any."""


# --- perbench


def perbench_command(load: Load, url: str, _directory: Path) -> list[str]:
    loop = ["--rate", str(load.rate)] if load.rate else ["--concurrency", str(load.concurrency)]
    return [
        "perbench", "load", "--url", url, "--protocol", "openai", "--model", "truth",
        *loop, "--requests", str(load.requests), "--input-tokens", str(PROMPT_TOKENS),
        "--output-tokens", str(load.tokens), "--json",
    ]  # fmt: skip


def read_perbench(directory: Path) -> Reported:
    said = json.loads((directory / "stdout").read_bytes())
    figures = Figures(said["ttft_sent_ms"]["mean"], said["itl_ms"]["mean"], said["request_rate"])
    return Reported(figures, "no" if said["valid"] else "yes: " + ", ".join(said["invalid_reasons"]))


# --- aiperf


def aiperf_command(load: Load, url: str, directory: Path) -> list[str]:
    loop = (
        ["--request-rate", str(load.rate), "--arrival-pattern", "poisson"]
        if load.rate
        else ["--concurrency", str(load.concurrency)]
    )
    return [
        "aiperf", "profile", "--model", "truth", "--url", url, "--endpoint-type", "completions", "--streaming",
        "--tokenizer", str(directory / "tokenizer"), "--use-server-token-count", "--use-legacy-max-tokens",
        "--isl", str(PROMPT_TOKENS), "--isl-stddev", "0", "--osl", str(load.tokens), "--osl-stddev", "0",
        "--extra-inputs", "ignore_eos:true", *loop, "--request-count", str(load.requests),
        "--output-artifact-dir", str(directory), "--export-level", "summary", "--ui", "none",
        "--no-gpu-telemetry", "--no-server-metrics",
    ]  # fmt: skip


def read_aiperf(directory: Path) -> Reported:
    said = json.loads((directory / "profile_export_aiperf.json").read_bytes())
    ttft, itl, rate = (said[f]["avg"] for f in ("time_to_first_token", "inter_token_latency", "request_throughput"))
    # It knows runs that were cancelled or are not complete, and none whose figures do not hold.
    whole = said["is_complete"] and not said["was_cancelled"]
    return Reported(Figures(ttft, itl, rate), "no" if whole else "yes: not complete")


# --- inference-perf


def inference_perf_command(load: Load, url: str, directory: Path) -> list[str]:
    path = directory / "asked.yaml"
    path.write_text(json.dumps(inference_perf_config(load, url, directory)))
    return ["inference-perf", "--config_file", str(path)]


def inference_perf_config(load: Load, url: str, directory: Path) -> dict[str, object]:
    """Its configuration; JSON is YAML."""
    if load.rate:
        loop: dict[str, object] = {
            "type": "poisson", "stages": [{"rate": load.rate, "duration": load.requests // load.rate}],
        }  # fmt: skip
    else:
        stage = {"num_requests": load.requests, "concurrency_level": load.concurrency}
        loop = {"type": "concurrent", "stages": [stage]}

    def always(tokens: int) -> dict[str, int]:
        return {"min": tokens, "max": tokens, "mean": tokens, "std_dev": 0, "total_count": load.requests}

    lengths = {"input_distribution": always(PROMPT_TOKENS), "output_distribution": always(load.tokens)}
    return {
        "api": {"type": "completion", "streaming": True},
        "data": {"type": "random", **lengths},
        "load": loop,
        "server": {"type": "vllm", "model_name": "truth", "base_url": url, "ignore_eos": True},
        "tokenizer": {"pretrained_model_name_or_path": str(directory / "tokenizer")},
        "report": {"request_lifecycle": {"use_server_output_tokens": True}},
        "storage": {"local_storage": {"path": str(directory)}},
    }


def read_inference_perf(directory: Path) -> Reported:
    said = json.loads((directory / "summary_lifecycle_metrics.json").read_bytes())["successes"]
    ttft, itl = (said["latency"][name]["mean"] * 1e3 for name in ("time_to_first_token", "inter_token_latency"))
    checked = json.loads((directory / "validation.json").read_bytes())
    errors = [error["message"] for report in _reports(checked) for error in report["errors"]]
    verdict = "yes: " + errors[0] if errors else "no"
    return Reported(Figures(ttft, itl, said["throughput"]["requests_per_sec"]), verdict)


def _reports(checked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield checked["global"]
    yield from checked["reports"].values()


TOOLS = (
    Tool("perbench", perbench_command, read_perbench, rate_to_last_answer=False),
    Tool("aiperf", aiperf_command, read_aiperf, "0.13.0"),
    Tool("inference-perf", inference_perf_command, read_inference_perf, "0.7.0", (3, 12)),
)


# --- environments and processes


def environment(tool: Tool, python: str | None) -> Path:
    """The directory of the tool's programs; installs it where that is not done yet. Raises CannotRunError."""
    if tool.version is None:
        return Path(sys.executable).parent
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "perbench-peers"
    home = cache / f"{tool.name}-{tool.version}"
    done = home / "installed"
    if not done.exists():
        base = interpreter(tool, [python or sys.executable, sys.executable, "python3.12", "python3.13"])
        sys.stderr.write(f"installing {tool.name} {tool.version} into {home}\n")
        shutil.rmtree(home, ignore_errors=True)
        run([base, "-m", "venv", str(home)], INSTALL_SECONDS)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, f"{tool.name}=={tool.version}"], INSTALL_SECONDS)
        done.touch()
    return home / "bin"


def interpreter(tool: Tool, candidates: Sequence[str]) -> str:
    """The first of these that the tool runs on. Raises CannotRunError."""
    test = f"import sys; sys.exit(sys.version_info < {tool.python})"
    for name in candidates:
        found = shutil.which(name)
        if found and not subprocess.run([found, "-c", test], capture_output=True, timeout=30, check=False).returncode:
            return found
    needed = ".".join(map(str, tool.python))
    raise CannotRunError(f"needs Python {needed} or newer: give one as --python")


def run(command: Sequence[str], seconds: int, directory: Path | None = None, codes: tuple[int, ...] = (0,)) -> None:
    """Run to the end; standard output into `directory`. Raises CannotRunError with the last line it said."""
    with tempfile.TemporaryDirectory() as spare:
        place = directory or Path(spare)
        variables = os.environ | {
            "HF_ENDPOINT": NO_HUB, "HF_HOME": str(place / "hub"), "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        with (place / "stdout").open("wb") as out, (place / "stderr").open("wb") as err:
            child = subprocess.Popen(command, stdout=out, stderr=err, env=variables, cwd=place, start_new_session=True)
            try:
                code = child.wait(seconds)
            except subprocess.TimeoutExpired:
                raise CannotRunError(f"did not end within {seconds} s") from None
            finally:
                _end(child)
        if code not in codes:
            raise CannotRunError(f"exit code {code}: {_last_words(place) or 'without a word'}")


def _last_words(place: Path) -> str:
    """The last line of standard error, or else of standard output, that says something."""
    texts = [(place / name).read_text(errors="replace") for name in ("stdout", "stderr")]
    said = [line.strip() for text in texts for line in text.splitlines() if any(map(str.isalpha, line))]
    return said[-1] if said else ""


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of it: the session it began is its own."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


def write_tokenizer(directory: Path) -> None:
    """A tokenizer of whole words, in the form of the `tokenizers` library."""
    directory.mkdir()
    unknown = "[UNK]"
    words = [unknown, "tok", *(f"w{number}" for number in range(1000))]
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    document = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "decoder": None, "pre_tokenizer": {"type": "WhitespaceSplit"},
        "added_tokens": [{"id": 0, "content": unknown, **special}],
        "model": {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(words)}, "unk_token": unknown},
    }  # fmt: skip
    (directory / "tokenizer.json").write_text(json.dumps(document))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": unknown}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))


# --- judging


def truth_of(record: Record, load: Load, *, to_last_answer: bool) -> Truth:
    """The record of the measured requests: they are the first of their length.

    What comes before them, to see what the server is, asks for fewer tokens; what comes after keeps the load up.
    """
    ours = np.flatnonzero(record.done & (record.output_tokens == load.tokens))[: load.requests]
    if ours.size < 2:
        raise CannotRunError("the server saw none of its requests through to the end")
    start, last, end = int(record.arrival[ours[0]]), int(record.arrival[ours[-1]]), int(record.end[ours].max())
    itl = (record.last - record.first)[ours] / (load.tokens - 1) / 1e6
    rate = ours.size / (end - start) * 1e9 if to_last_answer else record.request_rate(start, last)
    figures = Figures(float(record.ttft_ms()[ours].mean()), float(itl.mean()), rate)
    return Truth(figures, record.mean_in_flight(start, last), ours.size)


def measure(tool: Tool, programs: Path, load: Load) -> tuple[Reported, Truth]:
    """One run against a server of its own. Raises CannotRunError."""
    with tempfile.TemporaryDirectory(prefix="perbench-peers-") as name:
        directory = Path(name)
        write_tokenizer(directory / "tokenizer")
        with truth_server(load.script, max_seconds=2 * RUN_SECONDS) as server:
            program, *arguments = tool.command(load, server.url, directory)
            # Exit code 3 of perbench is its verdict, with all figures.
            run([str(programs / program), *arguments], RUN_SECONDS, directory, (0, 3) if tool.version is None else (0,))
            record = server.record
        try:
            reported = tool.read(directory)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CannotRunError(f"its figures cannot be read: {error!r}") from error
        return reported, truth_of(record, load, to_last_answer=tool.rate_to_last_answer)


HEAD = (
    f"{'load':<15}{'tool':<15}{'TTFT ms':>9}{'true':>9}{'error':>9}{'ITL ms':>9}{'true':>9}{'error':>9}"
    f"{'rate/s':>9}{'true':>9}{'in flight':>11}  called invalid"
)


def row(load: Load, tool: Tool, reported: Reported, truth: Truth) -> str:
    """A line of the table."""
    said, real = reported.figures, truth.figures
    times = "".join(f"{ours:9.2f}{true:9.2f}{ours - true:+9.2f}" for ours, true in (
        (said.ttft_ms, real.ttft_ms), (said.itl_ms, real.itl_ms),
    ))  # fmt: skip
    short = "" if truth.answered >= load.requests else f"; only {truth.answered} of {load.requests} answered"
    rates = f"{said.rate:9.1f}{real.rate:9.1f}{truth.in_flight:11.1f}"
    return f"{load.name:<15}{tool.name:<15}{times}{rates}  {reported.verdict}{short}"


def table(python: str | None) -> Iterator[str]:
    """Line by line, as the runs end."""
    programs: dict[str, Path] = {}
    for tool in TOOLS:
        try:
            programs[tool.name] = environment(tool, python)
        except CannotRunError as error:
            yield f"{tool.name} cannot be installed: {error}"
    yield HEAD
    for load in LOADS:
        for tool in (tool for tool in TOOLS if tool.name in programs):
            sys.stderr.write(f"{load.name}: {tool.name}\n")
            try:
                yield row(load, tool, *measure(tool, programs[tool.name], load))
            except CannotRunError as error:
                yield f"{load.name:<15}{tool.name:<15}  could not be run: {error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", help="an interpreter for the environments of the others")
    lines = list(table(parser.parse_args().python))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
