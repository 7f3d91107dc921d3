"""The files of a local run. A rim: every write is atomic, so that no file of ours is ever half a file."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from perbench.failures import Failure, UsageError
from perbench.files import write_atomically, write_error
from perbench.local.directory import ENTRIES, LOGS, PLANS, REPORT, RESULTS, STAGES, STATUS, Disposition, Found
from perbench.plan import Plan
from perbench.record import to_text
from perbench.results import CalibrationRecord, Results, StageRecord
from perbench.results_file import read_results

LOCK = ".lock"
FAILURE = "failure.json"
"""What the bench process leaves in a stage directory when it had to stop."""
CALIBRATION = "calibration.json"
"""What it leaves there when its plan asked how exactly this machine measures."""


class Store:
    """The output directory of one run."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory, so that no second command writes into it. Raises UsageError when one does."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / LOCK).open("w")
        except OSError as error:
            raise UsageError(
                f"{self.root}: cannot be used as the output directory: {error.strerror}; choose another --output-dir"
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UsageError(f"{self.root}: another perbench run works there; wait for it to end") from error
            yield

    def found(self) -> Found:
        """Look at what stands in the directory. Raises UsageError for a results.json that is none."""
        names = {path.name: path for path in self.root.iterdir()}
        return Found(
            results=self._read_results(),
            entries=frozenset(name for name in names if name in ENTRIES),
            archives={
                name: (path / RESULTS).exists() for name, path in names.items() if name not in ENTRIES and path.is_dir()
            },
        )

    def _read_results(self) -> Results | None:
        path = self.root / RESULTS
        if not path.exists():
            return None
        try:
            return read_results(path)
        except UsageError as error:
            what, _, _ = str(error).partition("; ")  # what follows is advice to somebody who named the file himself
            raise UsageError(f"{what}; move it away or choose another --output-dir") from error

    def dispose(self, disposition: Disposition) -> None:
        """Make the moves of a disposition, in its order."""
        for source, destination in disposition.moves:
            target = self.root / destination
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                (self.root / source).rename(target)
            except OSError as error:
                raise write_error(target, error) from error

    def write_results(self, results: Results) -> None:
        """Replace results.json."""
        write_atomically(self.root / RESULTS, to_text(results))

    def write_status(self, text: str) -> None:
        """Replace status.yaml."""
        write_atomically(self.root / STATUS, text)

    def write_report(self, text: str) -> None:
        """Replace report.html."""
        write_atomically(self.root / REPORT, text)

    def write_plan(self, plan: Plan) -> Path:
        """Write what the bench process is told to do, and say where."""
        path = self.root / PLANS / f"{plan.model}.{plan.round}.json"
        # Tasks travel as the user wrote them: spelt-out defaults need not pass the rules for what a user may write.
        write_atomically(path, plan.to_json() + "\n")
        return path

    def log(self, model: str, number: int, process: str) -> Path:
        """Where the log of a process of this model and round goes."""
        directory = self.root / LOGS
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(directory, error) from error
        return directory / f"{model}.{number}.{process}.log"

    def stage_directory(self, model: str, number: int) -> Path:
        """Where the stages of one model in one round are."""
        return self.root / STAGES / model / str(number)

    def stages(self, model: str, number: int) -> tuple[StageRecord, ...]:
        """Read the recorded stages of one model in one round, in the order they were measured."""
        records = []
        for path in sorted(self.stage_directory(model, number).glob("*.json")):
            if path.name in {FAILURE, CALIBRATION} or path.name.startswith("."):
                continue
            record = _read_stage(path)
            if record is not None:
                records.append(record)
        return tuple(sorted(records, key=lambda record: record.started_at))

    def calibration(self, model: str, number: int) -> CalibrationRecord | None:
        """Read how exactly this machine measured before one model in one round. None: nobody asked, or it failed."""
        try:
            return CalibrationRecord.model_validate_json(
                (self.stage_directory(model, number) / CALIBRATION).read_bytes()
            )
        except (OSError, ValidationError):
            return None

    def take_failure(self, model: str, number: int) -> Failure | None:
        """Read and remove why the bench process of this model and round stopped."""
        path = self.stage_directory(model, number) / FAILURE
        try:
            failure = Failure.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            failure = None
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return failure


def _read_stage(path: Path) -> StageRecord | None:
    """Read one stage. A file that is none is put aside, so that its stage is measured again."""
    try:
        return StageRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        with contextlib.suppress(OSError):
            path.rename(path.with_suffix(".unreadable"))
        return None
