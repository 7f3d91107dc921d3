"""Queries as text. Every label asked for is our own (`benchmark_namespace`, never `namespace`): what a scraper adds or
keeps, with `honor_labels` or without, makes no difference."""

from collections.abc import Sequence

RATE_INTERVAL = "$__rate_interval"
"""Grafana's: long enough for four scrapes."""
VARIABLES = {"namespace": "benchmark_namespace", "benchmark": "benchmark", "model": "model", "task": "task"}
"""What can be chosen on a dashboard, and the label that it chooses by."""
BENCHMARK = ("benchmark_namespace", "benchmark")
MODEL = (*BENCHMARK, "model")
CELL = (*MODEL, "task")
TASK = (*BENCHMARK, "task")
BENCHMARK_LEGEND = "{{benchmark_namespace}}/{{benchmark}}"
MODEL_LEGEND = f"{BENCHMARK_LEGEND} {{{{model}}}}"
CELL_LEGEND = f"{MODEL_LEGEND} {{{{task}}}}"


def chosen(metric: str, *also: str, of: Sequence[str] = CELL) -> str:
    """The series of a metric that are chosen; `of`: which of our labels it has, `also`: further matchers."""
    by_variable = [f'{label}=~"${name}"' for name, label in VARIABLES.items() if label in of]
    return f"{metric}{{{', '.join([*by_variable, *also])}}}"


def aggregated(how: str, series: str, by: Sequence[str]) -> str:
    """One series per value of these labels, over pods and whatever else a scraper tells apart."""
    return f"{how} by ({', '.join(by)}) ({series})"


def latest(metric: str, *also: str, by: Sequence[str] = CELL) -> str:
    """A gauge. Two pods show it at once only while one follows the other."""
    return aggregated("max", chosen(metric, *also, of=by), by)


def rate(counter: str, *also: str, by: Sequence[str] = CELL) -> str:
    """A counter per second. Added up after `rate`: each pod begins at 0."""
    return aggregated("sum", f"rate({chosen(counter, *also)}[{RATE_INTERVAL}])", by)


def quantile(share: float, histogram: str, by: Sequence[str] = CELL) -> str:
    """A quantile of a histogram of the bench pods."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', by=(*by, 'le'))})"


def buckets(histogram: str) -> str:
    """Observations per bucket, for a heatmap."""
    return aggregated("sum", f"increase({chosen(f'{histogram}_bucket')}[{RATE_INTERVAL}])", ("le",))


def trusted(series: str, of: Sequence[str] = CELL) -> str:
    """Those of results that are valid and were compared; `of`: by which labels they are chosen."""
    return f"{series} and on ({', '.join(CELL)}) ({chosen('perbench_result_valid', of=of)} == 1)"


def result(metric: str, *also: str, by: Sequence[str] = CELL) -> str:
    """A figure of results that can be trusted."""
    return aggregated("max", trusted(chosen(metric, *also)), by)


def of_best(metric: str, *also: str, best: str) -> str:
    """A figure of results divided by the best of its task, the `max` or the `min`: so tasks whose units are unlike have
    one axis. The best is that of all models, whichever are chosen."""
    others = aggregated(best, trusted(chosen(metric, *also, of=TASK), TASK), TASK)
    return f"{result(metric, *also)} / on ({', '.join(TASK)}) group_left () {others}"
