"""`perbench run` as a process, and what it left."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from perbench.results import Results, StageRecord
from tests.support.processes import nothing_stays, perbench

WHEN_SAID = """
import os
import perbench.local.output as output
said, write = b"", output._Lasting.write
def watched(stream, data):
    global said
    before, said = said, said + bytes(data)
    count = write(stream, data)
    if {text!r} in said and {text!r} not in before:
        {what}
    return count
output._Lasting.write = watched
"""
"""Something that the command does to itself as soon as it has said `text`: whoever reads what it says may be late."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    exit_code: int
    out: str
    err: str
    directory: Path

    @property
    def results(self) -> Results:
        return Results.model_validate_json((self.directory / "results.json").read_bytes())

    @property
    def status(self) -> dict[str, object]:
        status = yaml.safe_load((self.directory / "status.yaml").read_text())["status"]
        assert isinstance(status, dict)
        return status

    @property
    def failure(self) -> tuple[object, object, object]:
        """Blame, reason and model of the status."""
        failure = self.status["failure"]
        assert isinstance(failure, dict)
        return failure["blame"], failure["reason"], failure.get("model")

    def records(self, model: str) -> list[StageRecord]:
        """The recorded stages of a model."""
        record = next(record for record in self.results.models if record.name == model)
        return [stage for launch in record.launches for stage in launch.stages]

    def stages(self, model: str) -> list[str]:
        """The tasks of its recorded stages."""
        return [stage.task for stage in self.records(model)]


def run(file: Path, *options: str, before: str = "pass", stop_at: str | None = None, number: int = 0) -> Ended:
    """Run a benchmark file from its own directory, where no process may stay.

    `stop_at`: as soon as a line with this text is out, it has the signal `number`.
    """
    if stop_at is not None:
        before += when_said(stop_at, f"os.kill(os.getpid(), {int(number)})")
    with nothing_stays(), perbench("run", file.name, *options, cwd=file.parent, before=before) as process:
        out, err = process.communicate(timeout=300)
    assert "Traceback" not in out + err, out + err
    assert stop_at is None or stop_at in out, out
    return Ended(process.returncode, out, err, file.parent / "perbench-results" / file.stem)


def when_said(text: str, what: str) -> str:
    """Python to run before `perbench run`: `what` is done as soon as a line with this text is out."""
    return WHEN_SAID.format(text=text.encode(), what=what)
