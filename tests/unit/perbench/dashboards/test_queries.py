"""The text of the queries. tests/charts/test_dashboard_queries.py asks them."""

import re

import pytest

from perbench.dashboards import ANYTHING, queries
from perbench.dashboards.promql import VARIABLES, buckets, chosen, quantile, rate
from perbench.dashboards.queries import filled
from tests.support.exposed import METRICS, Kind, known

QUERIES = [pytest.param(each.expression, id=f"{each.dashboard}: {each.panel}") for each in queries()]
KNOWN = known()
MADE_HERE = {"place"}
"""Labels that queries give themselves."""
OVER_ALL = ("perbench_benchmarks",)
"""Asked without a choice, though they are about benchmarks: they count all."""
GROWING = {name for metric in METRICS if metric.kind is not Kind.GAUGE for name in metric.series_names}
SCRAPERS = {"namespace", "pod", "job", "instance", "container", "endpoint", "service", "node", "cluster"}


def selectors(expression: str) -> list[tuple[str, str]]:
    """Name and matchers of each series asked for."""
    return re.findall(r"\b(perbench_\w+)(?:\{([^}]*)\})?", expression)


@pytest.mark.parametrize("expression", QUERIES)
def test_it_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    asked = selectors(expression)
    assert asked
    for name, matchers in asked:
        assert name in KNOWN
        assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", matchers)) <= KNOWN[name]
    has = set.union(*(KNOWN[name] for name, _ in asked)) | MADE_HERE
    for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert set(names.split(", ")) <= has


@pytest.mark.parametrize("expression", QUERIES)
def test_what_grows_is_asked_by_its_growth_and_added_up_afterwards(expression: str) -> None:
    """Each pod begins at 0: `rate(sum(…))` would take the begin of one for a reset."""
    growth = re.findall(
        r"(?:sum(?: by \([^)]*\) )?\()(?:rate|increase)\((perbench_\w+)(?:\{[^}]*\})?\[[^]]+\]\)\)", expression
    )
    assert growth == [name for name, _ in selectors(expression) if name in GROWING]


@pytest.mark.parametrize("expression", QUERIES)
def test_it_is_aggregated_over_pods(expression: str) -> None:
    assert re.match(r"(1000 \* |time\(\) - |histogram_quantile\([\d.]+, )?(sum|max|count)\b", expression)


def test_no_label_of_ours_can_be_a_scrapers() -> None:
    """So `honor_labels` has nothing to decide."""
    assert not set.union(*KNOWN.values()) & SCRAPERS


def test_what_can_be_chosen_is_chosen_by() -> None:
    """Whatever has one of the labels is asked for by its variable."""
    marked = {name: f"<{name}>" for name in VARIABLES} | {"__rate_interval": "1m"}
    for query in queries(marked):
        first, *_ = selectors(query.expression)
        if first[0] in OVER_ALL:
            continue
        labels = KNOWN[first[0]]
        for name, label in VARIABLES.items():
            if name == "task" and first[0].startswith("perbench_model_memory_") and "task" not in first[1]:
                continue  # of the server, whatever it is asked
            assert (label in labels) == (f'{label}=~"<{name}>"' in first[1]), query


def test_variables_are_replaced() -> None:
    assert filled('a{b=~"$model", c="${task}"}[$__rate_interval]', {**ANYTHING, "task": "t"}) == 'a{b=~".*", c="t"}[1m]'
    assert not [query for query in queries() if "$" in query.expression]
    with pytest.raises(KeyError, match="task"):
        queries({name: value for name, value in ANYTHING.items() if name != "task"})


def test_the_text_of_queries() -> None:
    cell = 'benchmark_namespace=~"$namespace", benchmark=~"$benchmark", model=~"$model", task=~"$task"'
    assert chosen("a", 'b="c"') == f'a{{{cell}, b="c"}}'
    assert rate("a", by=("model",)) == f"sum by (model) (rate(a{{{cell}}}[$__rate_interval]))"
    assert buckets("a") == f"sum by (le) (increase(a_bucket{{{cell}}}[$__rate_interval]))"
    assert quantile(0.5, "a", by=("model",)) == f"histogram_quantile(0.5, {rate('a_bucket', by=('model', 'le'))})"
