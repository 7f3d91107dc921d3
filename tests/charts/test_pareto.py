"""The points of the dashboard Compare, asked of a real Prometheus: where each is, and that none lacks a coordinate."""

from collections.abc import Iterator

import pytest

from perbench.dashboards import ANYTHING, queries
from tests.support.exposed import END
from tests.support.prometheus_blocks import PrometheusOfBlocks, prometheus_of

FIGURES = {"accuracy_ratio", "memory_bytes", "latency_seconds", "output_tokens_per_second", "items_per_second"}
MODELS: dict[tuple[str, str], dict[str, float]] = {
    ("large", "answers"): {"output_tokens_per_second": 50, "accuracy_ratio": 0.9, "memory_bytes": 8e9,
                           "latency_seconds": 0.02, "pareto_optimal": 1},
    ("small", "answers"): {"output_tokens_per_second": 200, "accuracy_ratio": 0.6, "memory_bytes": 2e9,
                           "latency_seconds": 0.005, "pareto_optimal": 1},
    ("beaten", "answers"): {"output_tokens_per_second": 100, "accuracy_ratio": 0.6, "memory_bytes": 4e9,
                            "latency_seconds": 0.01, "pareto_optimal": 0},
    ("remote", "answers"): {"output_tokens_per_second": 20, "accuracy_ratio": 0.7, "latency_seconds": 0.05,
                            "pareto_optimal": 0},
    ("invalid", "answers"): {"output_tokens_per_second": 900, "accuracy_ratio": 1, "memory_bytes": 1e9,
                             "latency_seconds": 0.001, "pareto_optimal": 1, "valid": 0},
    ("large", "reviews"): {"items_per_second": 5, "accuracy_ratio": 0.8, "memory_bytes": 8e9, "latency_seconds": 0.3,
                           "pareto_optimal": 1},
    ("small", "reviews"): {"items_per_second": 4, "accuracy_ratio": 0.7, "memory_bytes": 2e9, "latency_seconds": 0.6,
                           "pareto_optimal": 1},
}  # fmt: skip
"""By model and task. Of `remote` the memory is not known."""
SPEED = {
    ("large", "answers"): 0.25, ("small", "answers"): 1, ("beaten", "answers"): 0.5, ("remote", "answers"): 0.1,
    ("large", "reviews"): 1, ("small", "reviews"): 0.8,
}  # fmt: skip
"""Throughput as a share of the task's best."""
DELAY = {
    ("large", "answers"): 4, ("small", "answers"): 1, ("beaten", "answers"): 2, ("remote", "answers"): 10,
    ("large", "reviews"): 1, ("small", "reviews"): 2,
}  # fmt: skip
"""Latency as a multiple of the task's lowest."""


def exposition() -> str:
    """One scrape of the operator."""
    lines = []
    for (model, task), figures in MODELS.items():
        for name, value in ({"valid": 1.0} | figures).items():
            labels = f'benchmark_namespace="team-a",benchmark="bench",model="{model}",task="{task}"'
            if name == "latency_seconds":
                labels += f',stat="{"per_token" if task == "answers" else "per_item"}"'
            lines.append(f"perbench_result_{name}{{{labels}}} {value} {END}")
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusOfBlocks]:
    with prometheus_of(exposition(), END, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def points(prometheus: PrometheusOfBlocks, panel: str, **chosen: str) -> dict[tuple[str, str], tuple[float, ...]]:
    """Of each point of a panel its coordinates and its mark. Every query must have the same points."""
    asked = [each.expression for each in queries({**ANYTHING, **chosen}) if each.panel == panel]
    assert len(asked) == 3
    answers = [
        {(labels["model"], labels["task"]): value for labels, value in prometheus.query(expression)}
        for expression in asked
    ]
    assert answers[0].keys() == answers[1].keys() == answers[2].keys()
    return {cell: tuple(answer[cell] for answer in answers) for cell in answers[0]}


def test_the_data_has_each_figure() -> None:
    assert {name for figures in MODELS.values() for name in figures} == FIGURES | {"pareto_optimal", "valid"}


def test_throughput_and_accuracy(prometheus: PrometheusOfBlocks) -> None:
    """Tokens and items per second are on one axis: each as a share of the best of its task that can be trusted."""
    assert points(prometheus, "Throughput and accuracy") == {
        cell: pytest.approx((speed, MODELS[cell]["accuracy_ratio"], MODELS[cell]["pareto_optimal"]))
        for cell, speed in SPEED.items()
    }


def test_who_lacks_a_figure_has_no_point(prometheus: PrometheusOfBlocks) -> None:
    """Grafana would draw it at 0."""
    assert points(prometheus, "Throughput and memory") == {
        cell: pytest.approx((speed, MODELS[cell]["memory_bytes"], MODELS[cell]["pareto_optimal"]))
        for cell, speed in SPEED.items()
        if cell[0] != "remote"
    }


def test_throughput_and_latency(prometheus: PrometheusOfBlocks) -> None:
    assert points(prometheus, "Throughput and latency") == {
        cell: pytest.approx((speed, DELAY[cell], MODELS[cell]["pareto_optimal"])) for cell, speed in SPEED.items()
    }


@pytest.mark.parametrize("panel", ["Throughput and accuracy", "Throughput and memory", "Throughput and latency"])
def test_a_point_stays_where_it_is_when_fewer_models_are_chosen(prometheus: PrometheusOfBlocks, panel: str) -> None:
    all_of_them = points(prometheus, panel)
    chosen = points(prometheus, panel, model="beaten|large")
    assert chosen == {cell: at for cell, at in all_of_them.items() if cell[0] in {"beaten", "large"}}
    assert len(chosen) == 3


def test_the_table_has_the_mark_of_all(prometheus: PrometheusOfBlocks) -> None:
    """Also of those that cannot be trusted, as it has their figures."""
    asked = [each.expression for each in queries() if each.panel == "Figures" and "pareto" in each.expression]
    ((expression,),) = [asked]
    found = {(labels["model"], labels["task"]): value for labels, value in prometheus.query(expression)}
    assert found == {cell: figures["pareto_optimal"] for cell, figures in MODELS.items()}
