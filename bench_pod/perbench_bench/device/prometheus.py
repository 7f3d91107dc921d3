"""What a Prometheus has of dcgm-exporter, asked over its HTTP API when a stage is over.

Asked for are raw samples (an instant query of a range), which have the moments at which Prometheus read them, not
values at steps that were computed in between. Prometheus' clock and ours are those of their nodes, which are taken to
agree.
"""

import re
import time
from collections.abc import Callable, Iterable
from math import ceil
from urllib.parse import quote

from prometheus_client.samples import Sample
from pydantic import BaseModel, ValidationError

from perbench.failures import UsageError, shorten
from perbench.plan import Telemetry
from perbench_bench.device.accelerator_use import AcceleratorUse, Look, of_all, use_of_pod
from perbench_bench.device.dcgm import (
    LARGEST,
    MEMORY,
    NAMES,
    NoFiguresError,
    PodName,
    SharedError,
    owner,
    refuse_shared,
    values_of,
)
from perbench_bench.engine.http1 import HttpError, Origin, get_bytes
from perbench_bench.fetch import fetch, tls_of

PATH = "/api/v1/query"
AROUND_SECONDS = 120
"""Before the window and after it, for samples that show when a value was new, and the energy at both of its ends. After
it only what is there already: it is asked as soon as the stage is over, and nobody waits for the next scrape."""
TIMEOUT_SECONDS = 15.0
"""For one question."""
PATIENCE_SECONDS = 60.0
"""For all questions of one stage."""
SPELLINGS = (("exported_namespace", "exported_pod"), ("namespace", "pod"), ("pod_namespace", "pod_name"))
"""Labels of the workload, in the order they are tried."""


class NoAnswerError(Exception):
    """Prometheus has not answered, or not with what was asked for; says why."""


class Series(BaseModel):
    """One series of an answer. Without values where one moment was asked for."""

    metric: dict[str, str]
    values: tuple[tuple[float, float], ...] = ()
    """Unix seconds and value."""


class _Data(BaseModel):
    result: tuple[Series, ...]


class _Answer(BaseModel):
    status: str
    error: str = ""
    data: _Data | None = None


class PrometheusHistory:
    """Asks one Prometheus. `stop` blocks for up to a minute, and for as long as its name is looked up."""

    name = "Prometheus"

    def __init__(self, telemetry: Telemetry, accelerators: int, clock: Callable[[], int]) -> None:
        self._url = telemetry.prometheus_url or ""
        self._pods = [PodName(telemetry.namespace, pod.name) for pod in telemetry.pods]
        self._accelerators = accelerators
        self._clock = clock

    def start(self) -> None:
        """Nothing: Prometheus reads the exporter anyway."""

    def stop(self, window: tuple[int, int]) -> AcceleratorUse:
        """What it read between two stamps of the clock."""
        ahead = time.time() - self._clock() / 1e9
        start, end = (stamp / 1e9 + ahead for stamp in window)
        try:
            api = PrometheusApi(self._url)
            return of_all({pod.name: self._use(api, pod, (start, end)) for pod in self._pods})
        except (NoAnswerError, UsageError) as error:
            return AcceleratorUse.nothing(str(error))

    def _use(self, api: "PrometheusApi", pod: PodName, window: tuple[float, float]) -> AcceleratorUse:
        """Raises NoAnswerError."""
        start, end = window
        until = min(end + AROUND_SECONDS, time.time())
        length = f"[{ceil(until - start) + AROUND_SECONDS}s]"
        for labels in SPELLINGS:
            series = api.query(_selector(labels, pod) + length, until)
            if series:
                break
        else:
            return AcceleratorUse.nothing(_nobody(api, until))
        try:
            looks = looks_of(series, pod)
            refuse_other_owners(api.query(_of_devices(series) + f"[{ceil(until - start)}s]", until), pod)
            return use_of_pod(looks, window, self._accelerators)
        except SharedError as error:
            return AcceleratorUse.nothing(str(error), refused=True)
        except NoFiguresError as error:
            return AcceleratorUse.nothing(str(error))


class PrometheusApi:
    """Its HTTP API, for so long in all. Raises UsageError: that is no URL."""

    def __init__(self, url: str, patience: float = PATIENCE_SECONDS) -> None:
        self._origin = Origin.parse(url)
        self._tls = tls_of(self._origin)
        self._where = f"{self._origin.authority}{self._origin.base_path}{PATH}"
        self._patience = patience
        self._latest = time.monotonic() + patience

    def query(self, expression: str, at: float) -> tuple[Series, ...]:
        """The series of an instant query. Raises NoAnswerError."""
        seconds = min(TIMEOUT_SECONDS, self._latest - time.monotonic())
        if seconds <= 0:
            raise NoAnswerError(f"{self._where} took longer than {self._patience:g} s in all")
        path = f"{PATH}?query={quote(expression, safe='')}&time={at:.3f}&timeout={ceil(seconds)}s"
        request = get_bytes(self._origin, path)
        try:
            status, body = fetch(self._origin, self._origin.host, request, seconds, self._tls)
        except (OSError, HttpError) as error:  # TimeoutError and TLS errors are among them
            said = str(error) or type(error).__name__
            raise NoAnswerError(shorten(f"{self._where} does not answer: {said}", 200)) from error
        try:
            answer = _Answer.model_validate_json(body)
        except ValidationError as error:
            raise NoAnswerError(f"{self._where} answers HTTP {status}, and not as Prometheus does") from error
        if status != 200 or answer.data is None:
            raise NoAnswerError(shorten(f"{self._where} answers HTTP {status}: {answer.error}", 200))
        return answer.data.result


def looks_of(series: Iterable[Series], pod: PodName) -> list[Look]:
    """What each reading of the exporter showed of one pod, in order. Raises NoFiguresError."""
    readings = _readings(series)
    return [Look(second, values_of(readings[second], pod)) for second in sorted(readings)]


def refuse_other_owners(series: Iterable[Series], pod: PodName) -> None:
    """Raise SharedError where a reading had another pod on this pod's accelerators. `series`: all of these devices.

    Of one and the same reading: what another pod had before or after it is not shared.
    """
    for samples in _readings(series).values():
        every = [sample for each in samples.values() for sample in each]
        own = [sample for sample in every if owner(sample.labels) == pod]
        if own:
            refuse_shared(every, own)


def _readings(series: Iterable[Series]) -> dict[float, dict[str, list[Sample]]]:
    """By the second of the reading, and by metric."""
    by_second: dict[float, dict[str, list[Sample]]] = {}
    for each in series:
        name = each.metric.get("__name__", "")
        for second, value in each.values:
            samples = by_second.setdefault(second, {})
            samples.setdefault(name, []).append(Sample(name, each.metric, value))
    return by_second


def _selector(labels: tuple[str, str], pod: PodName) -> str:
    namespace, name = labels
    return f'{{__name__=~"{"|".join(NAMES)}",{namespace}="{pod.namespace}",{name}="{pod.name}"}}'


def _of_devices(series: Iterable[Series]) -> str:
    """Everybody's series of the devices that these are of."""
    devices = "|".join(sorted({re.escape(each.metric.get("UUID", "")) for each in series}))
    escaped = devices.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{__name__=~"{"|".join(LARGEST)}",UUID=~"{escaped}"}}'


def _nobody(api: PrometheusApi, at: float) -> str:
    """Why nothing is the pod's. Raises NoAnswerError."""
    if not api.query(f"count({MEMORY})", at):
        return f"it has no {MEMORY}: does it read dcgm-exporter?"
    return (
        "it has accelerators, and none by the pod's name in `pod` or `exported_pod`: does the exporter map them to pods"
        " (DCGM_EXPORTER_KUBERNETES=true)?"
    )
