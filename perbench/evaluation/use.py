"""What a model's server used for its work on a task, out of the records of its stages (measurement.md §10).

Totals over totals, as throughput is. Where one stage has no figure there is none: the rest would be another
measurement. They are no axes: nothing is ranked by them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perbench.resources import ResourceUse
from perbench.results import StageRecord, TaskKind

MILLION = 1e6


@dataclass(frozen=True)
class Use:
    """Of one model on one task. None: not measured, or not in all stages; see `reasons`."""

    cores: float | None = None
    """Processor cores at work on average, of all replicas together: seconds of processor time per second."""
    cpu_seconds_per_million_tokens: float | None = None
    """Per million output tokens. None also for tasks whose throughput counts items."""
    accelerator_utilization: float | None = None
    """Share of the time in which the accelerators were at work, 0 to 1."""
    watts: float | None = None
    """What the accelerators took on average, all together."""
    energy_joules_per_million_tokens: float | None = None
    """Per million output tokens, of the accelerators. None also for tasks whose throughput counts items."""
    reasons: tuple[str, ...] = ()
    """What was asked for and is not known, and why."""

    @property
    def known(self) -> bool:
        """Whether there is any figure."""
        return any(value is not None for value in (self.cores, self.accelerator_utilization, self.watts))

    @property
    def asked(self) -> bool:
        """Whether anybody was asked."""
        return self.known or bool(self.reasons)


NOTHING_USED = Use()


def use(kind: TaskKind, stages: Sequence[StageRecord]) -> Use:
    """What was used over these stages under load."""
    records = [stage.use or ResourceUse() for stage in stages]
    seconds = sum(stage.window_seconds for stage in stages)
    tokens = 0 if kind is TaskKind.CLASSIFICATION else sum(stage.output_tokens_in_window for stage in stages)
    cpu, energy = _all(records, lambda one: one.cpu_seconds), _all(records, lambda one: one.energy_joules)
    busy = _all(records, lambda one: one.accelerator_utilization)
    return Use(
        cores=_per(sum(cpu), seconds) if cpu else None,
        cpu_seconds_per_million_tokens=_per(MILLION * sum(cpu), tokens) if cpu else None,
        accelerator_utilization=_over_time(busy, stages, seconds) if busy else None,
        watts=_per(sum(energy), seconds) if energy else None,
        energy_joules_per_million_tokens=_per(MILLION * sum(energy), tokens) if energy else None,
        reasons=_reasons(records),
    )


def _all(records: Sequence[ResourceUse], of: Callable[[ResourceUse], float | None]) -> list[float] | None:
    """The figure of every stage. None where one has none, and without stages."""
    values = [value for record in records if (value := of(record)) is not None]
    return values if values and len(values) == len(records) else None


def _over_time(shares: Sequence[float], stages: Sequence[StageRecord], seconds: float) -> float | None:
    """A long stage weighs as much as it lasted."""
    return _per(sum(share * stage.window_seconds for share, stage in zip(shares, stages, strict=True)), seconds)


def _per(amount: float, count: float) -> float | None:
    return amount / count if count > 0 else None


def _reasons(records: Sequence[ResourceUse]) -> tuple[str, ...]:
    """The first of each kind."""
    kinds: tuple[tuple[str, Callable[[ResourceUse], float | None], Callable[[ResourceUse], str | None]], ...] = (
        ("processor time", lambda one: one.cpu_seconds, lambda one: one.cpu_reason),
        ("use of the accelerators", lambda one: one.accelerator_utilization, lambda one: one.accelerator_reason),
        ("energy", lambda one: one.energy_joules, lambda one: one.energy_reason),
    )
    firsts = ((name, _reason([of(one) for one in records], [why(one) for one in records])) for name, of, why in kinds)
    return tuple(f"{name} is not known: {reason}" for name, reason in firsts if reason)


def _reason(figures: Sequence[float | None], reasons: Sequence[str | None]) -> str | None:
    """Why there is no figure over all stages. None: there is one, or nobody asked for it."""
    missing = figures.count(None)
    unsaid = f"{missing} of {len(figures)} stages have none" if 0 < missing < len(figures) else None
    return next((reason for reason in reasons if reason), unsaid)
