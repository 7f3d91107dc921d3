"""`perbench truth-server` as a user types it."""

import inspect
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from pydantic.alias_generators import to_camel

from perbench.cli.truth_server import truth_server
from perbench_bench.truth import read_record
from perbench_bench.truth.script import Answer, Fault, FaultKind, Metrics, Prompt, Queue, Script, Stream, Timing
from tests.support.processes import Process

COMMAND = [sys.executable, "-c", "from perbench.cli import main; main()", "truth-server"]
BODY = json.dumps({"inputs": "a b", "parameters": {"max_new_tokens": 9, "details": True}}).encode()


def started(*options: str, environment: Mapping[str, str] | None = None) -> Process:
    return Process([*COMMAND, "--max-seconds", "600", *options], stdout=subprocess.PIPE, text=True, env=environment)


def ask(process: Process) -> str:
    assert process.stdout
    url = process.stdout.readline().strip()
    with urllib.request.urlopen(f"{url}/generate_stream", BODY, timeout=60) as response:
        answer = response.read().decode()
        assert isinstance(answer, str)
        return answer


def test_flags_replace_the_values_of_the_file(tmp_path: Path) -> None:
    script = {
        "answer": {"tokens": 3, "texts": ["a"]},
        "timing": {"firstMs": "exponential:1"},
        "faults": [{"kind": "exit"}],
    }
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(script))
    options = [
        "--script",
        str(tmp_path / "s.yaml"),
        "--text",
        "x",
        "--text",
        "y",
        "--fault",
        "flood,share=0.5,after=99",
    ]
    with started(*options, "--gap-ms", "1", "--record", str(tmp_path / "r.jsonl"), "--record-prompts", "5") as process:
        assert '"generated_text":"xyx"' in ask(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    record = read_record((tmp_path / "r.jsonl").read_bytes())
    assert (record.outcome, record.prompt, record.output_tokens.tolist()) == (("done",), ("a b",), [3])
    said = record.server["script"]
    assert said["timing"]["firstMs"] == {"distribution": "exponential", "values": [1.0]}
    assert said["timing"]["gapMs"]["values"] == [1.0]
    assert [fault["kind"] for fault in said["faults"]] == ["flood"]


def test_it_ends_by_itself(tmp_path: Path) -> None:
    with started("--max-requests", "1", "--first-ms", "1", "--record", str(tmp_path / "r.jsonl")) as process:
        ask(process)
        assert process.wait(60) == 0
    assert len(read_record((tmp_path / "r.jsonl").read_bytes())) == 1


def test_the_page_names_every_flag_field_and_fault() -> None:
    page = (Path(__file__).parents[4] / "docs" / "truth-server.md").read_text()
    flags = [f"--{name.replace('_', '-')}" for name in inspect.signature(truth_server).parameters]
    groups = (Script, Timing, Answer, Stream, Queue, Prompt, Metrics, Fault)
    fields = [to_camel(name) for group in groups for name in group.model_fields]
    assert [name for name in (*flags, *fields, *FaultKind) if name not in page] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tokens", "3", "--tokens-per-chunk", "4"], "the script: answer.tokensPerChunk: 4 tokens in a chunk"),
        (["--gap-ms", "1", "--token-ms", "1"], "the script: timing: gapMs and tokenMs both say"),
        (["--first-ms", "soon"], "the script: timing.firstMs: 'soon' is no delay"),
        (["--fault", "reset,share"], "--fault reset,share: 'share' is no setting"),
        (["--fault", "reset,after=x"], "--fault reset,after=x: 'after=x' is no setting"),
        (["--fault", "resett"], "the script: faults.0.kind: "),
        (["--script", "nowhere.yaml"], "nowhere.yaml: No such file"),
        (["--host", "203.0.113.1"], "cannot listen on 203.0.113.1:0: "),
        (["--tls-key", "k.pem"], "a certificate and its key go together"),
        (["--tls-key", "k.pem", "--tls-certificate", "c.pem"], "c.pem, k.pem: no certificate with its key"),
        (["--api-key-variable", "NOT_SET_ANYWHERE"], "--api-key-variable NOT_SET_ANYWHERE: it holds no key"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(options: list[str], said: str) -> None:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("perbench: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "- x"])
def test_a_file_that_is_no_script_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    command = [*COMMAND, "--script", str(tmp_path / "s.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "s.yaml: not " in done.stderr
