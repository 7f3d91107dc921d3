"""Asks `metrics.k8s.io` for the memory of a model's pods while a stage runs, in a thread of its own."""

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from perbench.failures import shorten
from perbench.plan import PodMetrics
from perbench_bench.api_server import ApiServer
from perbench_bench.pod_metrics import NoSampleError, Sample, WorkingSet, of_pods, sample_of, within

EVERY_SECONDS = 5.0
"""Samples come about every 15 seconds; one that is seen twice counts once."""
LOOK_SECONDS = 5.0
"""For all questions of one look."""
LAST_SECONDS = 15.0
"""How long `stop` waits for the look that may be under way, and for the last one."""
LARGEST_ANSWER = 256 * 1024
"""Bytes; a pod of two containers has 700."""

WORDS = {
    404: "(nobody serves this API: is metrics-server installed?)",
    503: "(who serves this API cannot be reached: does metrics-server run?)",
}
"""Where an answer says no more itself, as of an API that is not there."""


@dataclass
class _Seen:
    """One window. Mutable: it grows by looks; `lock` is for the three that grow."""

    over: threading.Event = field(default_factory=threading.Event)
    dropped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    samples: dict[str, dict[float, Sample]] = field(default_factory=dict)
    """By pod and moment."""
    troubles: dict[str, str] = field(default_factory=dict)
    """By pod: why its last question was not answered."""


class PodMetricsWatch:
    """Watches the pods that a plan names. `start` does not block, `stop` for a quarter of a minute at most."""

    def __init__(
        self, asked: PodMetrics, api: ApiServer, clock: Callable[[], int], interval: float = EVERY_SECONDS
    ) -> None:
        self._path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{quote(asked.namespace, safe='')}/pods/"
        self._pods = asked.pods
        self._container = asked.container
        self._api = api
        self._clock = clock
        self._interval = interval
        self._seen = _Seen()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open a window: look, and go on looking until it is over. One that is open is dropped."""
        self.drop()
        self._seen = _Seen(samples={pod: {} for pod in self._pods})
        self._thread = threading.Thread(target=self._watch, args=(self._seen,), name="metrics.k8s.io", daemon=True)
        self._thread.start()

    def drop(self) -> None:
        """Close the window, where nobody needs what it showed."""
        self._seen.dropped = True
        self._seen.over.set()

    def stop(self, window: tuple[int, int]) -> WorkingSet:
        """Look a last time; what was seen between two stamps of the clock.

        Nodes tell when their samples were collected: their clocks and ours are taken to agree.
        """
        seen = self._seen
        seen.over.set()
        if self._thread is not None:
            self._thread.join(LAST_SECONDS)
            self._thread = None
        ahead = time.time() - self._clock() / 1e9
        start, end = (stamp / 1e9 + ahead for stamp in window)
        with seen.lock:
            return of_pods(
                {pod: within(seen.samples[pod].values(), (start, end), seen.troubles.get(pod)) for pod in seen.samples}
            )

    def _watch(self, seen: _Seen) -> None:
        while True:
            last = seen.over.is_set()
            if seen.dropped:
                return
            self._look(seen)
            if last:
                return
            seen.over.wait(self._interval)

    def _look(self, seen: _Seen) -> None:
        latest = time.monotonic() + LOOK_SECONDS
        for pod in self._pods:
            try:
                sample = self._sample(pod, latest - time.monotonic())
            except NoSampleError as error:  # one that is missed is no loss: the next ones may tell enough
                with seen.lock:
                    seen.troubles[pod] = str(error)
                continue
            with seen.lock:
                seen.troubles.pop(pod, None)
                seen.samples[pod][sample.second] = sample

    def _sample(self, pod: str, seconds: float) -> Sample:
        """Raises NoSampleError."""
        if seconds <= 0:
            raise NoSampleError(f"it took longer than {LOOK_SECONDS:g} s to ask for all pods")
        try:
            answer = self._api.ask("GET", self._path + quote(pod, safe=""), seconds=seconds, largest=LARGEST_ANSWER)
        except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: the token is no token
            said = str(error) or type(error).__name__
            raise NoSampleError(shorten(f"the API server does not answer: {said}", 200)) from error
        if answer.status != 200:
            said = answer.said.get("message") or WORDS.get(answer.status, "")
            raise NoSampleError(shorten(f"HTTP {answer.status} {said}".rstrip(), 200))
        return sample_of(answer.said, self._container)
