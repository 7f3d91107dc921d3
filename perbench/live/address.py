"""The metrics of one bench pod by their address. A rim."""

import time
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

from perbench.errors import PerbenchError
from perbench.failures import UsageError, shorten
from perbench.live.exposition import Reading, read_page
from perbench.live.watch import Look
from perbench.plan import METRICS_PATH

TIMEOUT_SECONDS = 5.0
LARGEST_PAGE = 16 * 2**20
SILENT_LOOKS = 3
"""A pod that does not answer so often in a row has ended."""


class NoPageError(PerbenchError):
    """There are no metrics at an address."""

    exit_code = 1


class Address:
    """Looks at one address."""

    def __init__(self, url: str) -> None:
        """`url`: with or without the path. Raises UsageError: it is no http address."""
        whole = url if "://" in url else f"http://{url}"
        try:
            parts = urlsplit(whole)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise UsageError(f"{url}: no address of metrics: give http://HOST:PORT of a bench pod, such as a forwarded")
        self._url = whole if parts.path.strip("/") else whole.rstrip("/") + METRICS_PATH
        self._seen: Reading | None = None
        self._silent = 0

    def look(self) -> Look:
        """Raises NoPageError where nothing was there from the start."""
        try:
            page = self._read()
        except NoPageError:
            if self._seen is None:
                raise
            self._silent += 1
            over = self._silent >= SILENT_LOOKS
            return Look((*about(self._seen), "does not answer any more"), {self._url: None}, over=over)
        self._seen, self._silent = page, 0
        return Look(about(page), {self._url: page})

    def _read(self) -> Reading:
        request = urllib.request.Request(self._url, headers={"Accept": "text/plain;version=0.0.4"})  # noqa: S310 - http
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                text = answer.read(LARGEST_PAGE).decode(errors="replace")
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise NoPageError(f"{self._url}: no metrics: {shorten(str(reason), 200)}") from error
        try:
            return read_page(text, time.monotonic())
        except (ValueError, KeyError) as error:
            raise NoPageError(f"{self._url}: {shorten(str(error), 200)}") from error


def about(reading: Reading) -> tuple[str, ...]:
    """Whose figures they are, in one line."""
    info = reading.about
    name = f"{info.get('benchmark_namespace', '?')}/{info.get('benchmark', '?')}"
    words = [f"{key} {info[key]}" for key in ("run_id", "round", "attempt") if info.get(key)]
    served = " ".join(info[key] for key in ("runtime", "runtime_version") if info.get(key))
    return (f"{name}: {', '.join([info.get('model', '?'), *words, *([served] if served else [])])}",)
