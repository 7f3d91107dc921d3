"""Stages as files of a directory: one per finished stage, `TASK.REPEAT.json`; `failure.json`, `calibration.json`."""

import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path

from typing_extensions import override

from perbench.failures import Failure
from perbench.files import WriteError, write_atomically, write_error
from perbench.plan import StageKey
from perbench.results import CalibrationRecord, StageRecord
from perbench_bench.stage_store import StageStore


class FileStore(StageStore):
    """The files of one launch."""

    def __init__(self, directory: Path, keys: Sequence[StageKey]) -> None:
        self._directory = directory
        self._keys = tuple(keys)

    @override
    async def recorded(self) -> Collection[StageKey]:
        """Also makes the directory, and forgets an earlier failure."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            (self._directory / "failure.json").unlink(missing_ok=True)
        except OSError as error:
            raise write_error(self._directory, error) from error
        return {key for key in self._keys if self._file(key).exists()}

    @override
    async def store(self, record: StageRecord) -> None:
        write_atomically(self._file((record.task, record.repeat)), record.model_dump_json(by_alias=True))

    def store_failure(self, failure: Failure) -> None:
        """Why the launch ended; where nothing can be written, standard error has to do."""
        with contextlib.suppress(WriteError):
            write_atomically(self._directory / "failure.json", failure.model_dump_json(by_alias=True))

    @property
    def calibrated(self) -> bool:
        """Whether an earlier attempt has measured the machine."""
        return (self._directory / "calibration.json").exists()

    def store_calibration(self, found: CalibrationRecord) -> None:
        """Raises WriteError."""
        write_atomically(self._directory / "calibration.json", found.model_dump_json(by_alias=True))

    def _file(self, key: StageKey) -> Path:
        task, repeat = key
        return self._directory / f"{task}.{'unloaded' if repeat is None else repeat}.json"
