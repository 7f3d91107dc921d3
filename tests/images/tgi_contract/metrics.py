"""The router's figures and how `/metrics` shows them. Pure but for its own counts.

A series appears when it is first used, so that `/metrics` is empty before the first generation. Names, help, buckets
and layout are those of the recordings in tests/golden/tgi; the router's order changes from start to start, this one's
does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate, chain, repeat

from tests.images.tgi_contract.generation import Timings

Labels = tuple[tuple[str, str], ...]

HELP: Mapping[str, str] = {
    "tgi_request_count": "Total number of requests",
    "tgi_batch_inference_success": "Number of successful inference calls per method (prefill or decode)",
    "tgi_batch_inference_count": "Inference calls per method (prefill or decode)",
    "tgi_request_success": "Number of successful requests",
    "tgi_batch_current_size": "Current batch size",
    "tgi_batch_current_max_tokens": "Maximum tokens for the current batch",
    "tgi_queue_size": "Current queue size",
    "tgi_request_max_new_tokens": "Maximum new tokens per request",
    "tgi_batch_filter_duration": "Time spent filtering batches and sending generated tokens per method "
    "(prefill or decode)",
    "tgi_request_skipped_tokens": "Speculated tokens per request",
    "tgi_batch_inference_duration": "Batch inference duration",
    "tgi_batch_decode_duration": "Time spent decoding a batch per method (prefill or decode)",
    "tgi_request_duration": "Request duration",
    "tgi_request_inference_duration": "Request inference duration",
    "tgi_request_queue_duration": "Request queue duration",
    "tgi_request_input_length": "Input token length per request",
    "tgi_batch_forward_duration": "Batch forward duration per method (prefill or decode)",
    "tgi_request_generated_tokens": "Generated tokens per request",
    "tgi_request_mean_time_per_token_duration": "Mean time per token per request",
    "tgi_batch_next_size": "Batch size of the next batch",
    "tgi_request_validation_duration": "Request validation duration",
}
"""tgi_request_failure has none."""

DURATIONS = tuple(accumulate(chain([0.0001], repeat(1.5, 35)), lambda bound, factor: bound * factor))[1:]
"""Seconds: 0.15 ms, and each one and a half times the one before, up to 146 s."""
BATCH_SIZES = tuple(float(size) for size in range(1, 1025))
QUANTILES = ("0", "0.5", "0.9", "0.95", "0.99", "0.999", "1")
SKIPPED = "tgi_request_skipped_tokens"


def shares(of: int) -> tuple[float, ...]:
    """A hundred even steps up to `of`: the bounds of token counts."""
    return tuple(of / 100 * step for step in range(1, 101))


@dataclass
class _Histogram:
    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.counts = self.counts or [0] * len(self.bounds)
        for index, bound in enumerate(self.bounds):
            if value <= bound:
                self.counts[index] += 1
        self.total += value
        self.count += 1


class Metrics:
    """All series of one server."""

    def __init__(self, max_input_tokens: int, max_total_tokens: int) -> None:
        self._bounds: dict[str, Sequence[float]] = {
            "tgi_request_input_length": shares(max_input_tokens),
            "tgi_request_max_new_tokens": shares(max_total_tokens),
            "tgi_request_generated_tokens": shares(max_total_tokens),
            "tgi_batch_next_size": BATCH_SIZES,
        }
        self._counters: dict[str, dict[Labels, int]] = {}
        self._gauges: dict[str, int] = {}
        self._histograms: dict[str, dict[Labels, _Histogram]] = {}
        self._skipped = 0

    def increment(self, name: str, labels: Labels = (), by: int = 1) -> None:
        """Count."""
        series = self._counters.setdefault(name, {})
        series[labels] = series.get(labels, 0) + by

    def set(self, name: str, value: int) -> None:
        """Set a gauge."""
        self._gauges[name] = value

    def observe(self, name: str, value: float, labels: Labels = ()) -> None:
        """Add to a histogram."""
        series = self._histograms.setdefault(name, {})
        series.setdefault(labels, _Histogram(self._bounds.get(name, DURATIONS))).add(value)

    def failed(self, reason: str) -> None:
        """A request failed; `reason` is the `err` label."""
        self.increment("tgi_request_failure", (("err", reason),))

    def scheduled(self, input_length: int, max_new_tokens: int) -> None:
        """The model is asked for one chunk of a request."""
        self.observe("tgi_request_input_length", input_length)
        self.observe("tgi_request_max_new_tokens", max_new_tokens)
        self.observe("tgi_batch_next_size", 1)

    def forward(self, method: str, seconds: float, decoding: float) -> None:
        """The model made one step for a batch. `method`: prefill or decode."""
        labels = (("method", method),)
        self.increment("tgi_batch_inference_count", labels)
        self.increment("tgi_batch_inference_success", labels)
        self.observe("tgi_batch_forward_duration", seconds, labels)
        self.observe("tgi_batch_inference_duration", seconds + decoding, labels)
        self.observe("tgi_batch_decode_duration", decoding, labels)
        self.observe("tgi_batch_filter_duration", 0.0, labels)

    def token(self) -> None:
        """A token came. Nothing is speculated here."""
        self._skipped += 1

    def succeeded(self, timings: Timings, tokens: int) -> None:
        """A request ended well."""
        self.increment("tgi_request_success")
        self.observe("tgi_request_duration", timings.total)
        self.observe("tgi_request_validation_duration", timings.validation)
        self.observe("tgi_request_queue_duration", timings.queue)
        self.observe("tgi_request_inference_duration", timings.inference)
        per_token = int(timings.inference * 1e9 / tokens) / 1e9  # the router divides whole nanoseconds
        self.observe("tgi_request_mean_time_per_token_duration", per_token)
        self.observe("tgi_request_generated_tokens", tokens)

    def exposition(self) -> bytes:
        """The text of `/metrics`."""
        lines: list[str] = []
        for name, counters in self._counters.items():
            lines += [*_head(name, "counter"), *(_line(name, labels, count) for labels, count in counters.items()), ""]
        for name, gauge in self._gauges.items():
            lines += [*_head(name, "gauge"), _line(name, (), gauge), ""]
        for name, histograms in self._histograms.items():
            lines += _head(name, "histogram")
            for labels, histogram in histograms.items():
                lines += _histogram_lines(name, labels, histogram)
            lines.append("")
        if self._skipped:
            lines += _head(SKIPPED, "summary")
            lines += [_line(SKIPPED, (("quantile", quantile),), 0) for quantile in QUANTILES]
            lines += [_line(f"{SKIPPED}_sum", (), 0), _line(f"{SKIPPED}_count", (), self._skipped), ""]
        return "".join(line + "\n" for line in lines).encode()


def _head(name: str, kind: str) -> list[str]:
    help_line = [f"# HELP {name} {HELP[name]}"] if name in HELP else []
    return [*help_line, f"# TYPE {name} {kind}"]


def _histogram_lines(name: str, labels: Labels, histogram: _Histogram) -> list[str]:
    lines = [
        _line(f"{name}_bucket", (*labels, ("le", _number(bound))), count)
        for bound, count in zip(histogram.bounds, histogram.counts, strict=True)
    ]
    return [
        *lines,
        _line(f"{name}_bucket", (*labels, ("le", "+Inf")), histogram.count),
        _line(f"{name}_sum", labels, histogram.total),
        _line(f"{name}_count", labels, histogram.count),
    ]


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{text}"' for key, text in labels)
    return f"{name}{{{inside}}} {_number(value)}" if inside else f"{name} {_number(value)}"


def _number(value: float) -> str:
    """The shortest decimal, never with an exponent."""
    return f"{int(value)}" if value == int(value) else f"{Decimal(repr(value)):f}"
