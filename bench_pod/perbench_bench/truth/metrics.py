"""`/metrics` in vLLM's names (0.32): what was served, or what the script says instead. Pure."""

from dataclasses import dataclass, field

from perbench_bench.truth.script import Metrics

REASONS = ("stop", "length", "abort", "error")


@dataclass
class Counters:
    """What a truth server has served since its start."""

    departs: Metrics
    model: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generation_tokens: int = 0
    finished: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))

    def exposition(self, running: int, waiting: int) -> bytes:
        """Prometheus' text format, version 0.0.4."""
        others = 1 + self.departs.extra_requests
        values = [
            ("num_requests_running", "gauge", "", running),
            ("num_requests_waiting", "gauge", "", waiting),
            ("kv_cache_usage_perc", "gauge", "", 0),
            ("num_preemptions_total", "counter", "", 0),
            ("prompt_tokens_total", "counter", "", int(self.prompt_tokens * others)),
            ("prompt_tokens_cached_total", "counter", "", int(self.cached_tokens * others)),
            (
                "generation_tokens_total",
                "counter",
                "",
                int(self.generation_tokens * others * self.departs.token_factor),
            ),
            *(
                ("request_success_total", "counter", f'finished_reason="{reason}",', int(count * others))
                for reason, count in self.finished.items()
            ),
        ]
        lines, known = [], set()
        label = f'engine="0",model_name="{self.model}"'
        for name, kind, labels, value in values:
            if name not in known:
                known.add(name)
                lines.append(f"# TYPE vllm:{name} {kind}")
            lines.append(f"vllm:{name}{{{labels}{label}}} {float(value)}")
        return "\n".join(lines).encode() + b"\n"
