"""The program that speaks to Grafana, as a child process: a Grafana that hangs, and a client library that takes the
place of others, are its affair alone. A rim."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import ValidationError

from perbench.failures import printable, shorten
from perbench.grafana.orders import Order, Problem, ProblemKind, Report
from perbench_operator.configuration import GrafanaTarget

ORDER_SECONDS = 60.0
"""After so long the process is killed."""
SAID_LIMIT = 4096
"""Bytes of its standard error that are read."""


class Child:
    """Has orders carried out, one at a time."""

    def __init__(self, target: GrafanaTarget, seconds: float = ORDER_SECONDS) -> None:
        self._target = target
        self._seconds = seconds

    async def tell(self, order: Order) -> tuple[tuple[Report, ...], Problem]:
        """What came of an order: the reports there are, and the problem of all that has none."""
        reports: list[Report] = []
        try:
            async with asyncio.timeout(self._seconds), self._process() as process:
                said = await _converse(process, order, reports)
                code = await process.wait()
        except TimeoutError:
            away = f"{self._target.url} has not answered everything within {self._seconds:g} s"
            return tuple(reports), _of_all(ProblemKind.UNREACHABLE, away)
        except (OSError, ValueError) as error:
            mistake = f"{self._target.program[0]} cannot be run for Grafana: {_line(str(error))}"
            return tuple(reports), _of_all(ProblemKind.REFUSED, mistake)
        last = _line(said.strip().rpartition("\n")[2]).removeprefix("perbench: ")
        silent = f"{self._target.program[0]} ended with {code} and said nothing"
        return tuple(reports), _of_all(ProblemKind.REFUSED, last or silent)

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """It does not outlive the block."""
        target, pipe = self._target, asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *target.program, "grafana", "tell", "--url", target.url, "--token-file", str(target.token_file),
            "--folder", target.folder, *(["--prometheus-url", target.prometheus_url] if target.prometheus_url else []),
            stdin=pipe, stdout=pipe, stderr=pipe,
        )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _converse(process: asyncio.subprocess.Process, order: Order, reports: list[Report]) -> str:
    """Hand the order over and take the reports as they come. What it says besides. ValueError: it says no report."""
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise OSError("it has no pipes")
    saying = asyncio.create_task(_end_of(stderr))
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it says why on standard error
            stdin.write(order.model_dump_json(by_alias=True).encode())
            await stdin.drain()
        stdin.close()
        async for line in stdout:
            try:
                reports.append(Report.model_validate_json(line))
            except ValidationError as error:
                raise ValueError(f"it says no report but {line[:100]!r}") from error
        return await saying
    finally:
        saying.cancel()


async def _end_of(stream: asyncio.StreamReader) -> str:
    """All of it is read, so that nobody waits for that; the end of it is kept."""
    kept = b""
    while chunk := await stream.read(SAID_LIMIT):
        kept = (kept + chunk)[-SAID_LIMIT:]
    return kept.decode(errors="replace")


def _of_all(kind: ProblemKind, message: str) -> Problem:
    return Problem(kind=kind, message=message, of_everything=True)


def _line(text: str) -> str:
    return shorten(printable(text), 500)
