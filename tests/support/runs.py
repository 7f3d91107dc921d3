"""`perbench run` as a process, and what it left."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from perbench.results import Results, StageRecord
from tests.support.processes import nothing_stays, perbench


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

    `stop_at`: as soon as a line with this text is out, the signal `number` is sent.
    """
    with nothing_stays(), perbench("run", file.name, *options, cwd=file.parent, before=before) as process:
        assert process.stdout is not None
        seen = ""
        while stop_at is not None and stop_at not in seen:
            line = process.stdout.readline()
            assert line, f"ended before it said {stop_at!r}: {seen}"
            seen += line
        if stop_at is not None:
            process.send_signal(number)
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert "Traceback" not in seen + out + err, seen + out + err
    return Ended(process.returncode, seen + out, err, file.parent / "perbench-results" / file.stem)
