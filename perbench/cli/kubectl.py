"""`kubectl perbench`: benchmarks in a cluster. Its own program, `kubectl-perbench`, so that kubectl finds it."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perbench.cli.top import Every

if TYPE_CHECKING:
    from perbench.cluster.connection import Cluster

Context = Annotated[str | None, typer.Option("--context", help="Of the kubeconfig.", show_default="the current one")]
Namespace = Annotated[
    str | None, typer.Option("-n", "--namespace", help="Of the benchmark.", show_default="the context's")
]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="Of the PERBenchmark.")]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="S", help="Seconds.", show_default="for ever")]


def kubectl_app() -> typer.Typer:
    """The program with its commands."""
    app = typer.Typer(
        name="kubectl perbench",
        help="Benchmarks in a cluster: run, wait, top, report, explain.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    for command in (run, wait, top, report, explain):
        app.command()(command)
    return app


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="With one PERBenchmark.")],
    *,
    again: Annotated[bool, typer.Option("--again", help="Run anew, also where nothing has changed.")] = False,
    until_its_end: Annotated[bool, typer.Option("--wait", help="Wait for its end, as `wait` does.")] = False,
    timeout: Timeout = None,
    force_conflicts: Annotated[bool, typer.Option(help="Take over fields that another tool manages.")] = False,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Check a file, and create or change its benchmark in the cluster.

    Exit code: 0 applied, 1 the cluster says no, 2 usage; with --wait that of `wait`.
    """
    from datetime import UTC, datetime

    from perbench.api.reading import read_file
    from perbench.api.resource import RUN_ANNOTATION, to_data
    from perbench.cluster.progress import standing
    from perbench.cluster.waiting import wait as wait_for

    benchmark = read_file(file)
    name = benchmark.metadata.name
    cluster = _cluster(context, namespace)
    place = cluster.namespace(benchmark.metadata.namespace)
    data = to_data(benchmark.model_copy(update={"status": None}))
    kept = ("name", "labels", "annotations")
    metadata = {key: getattr(benchmark.metadata, key) for key in kept if getattr(benchmark.metadata, key)}
    body = cluster.apply(place, {**data, "metadata": {**metadata, "namespace": place}}, force=force_conflicts)
    if again:
        body = cluster.annotate(place, name, {RUN_ANNOTATION: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")})
    elif standing(body).exit_code is not None:
        sys.stdout.write(f"{place}/{name}: unchanged, and its run has ended; --again runs it anew\n")
    sys.stdout.write(f"{place}/{name}: applied\n")
    if until_its_end:
        raise typer.Exit(wait_for(cluster, place, name, timeout, sys.stdout))


def wait(name: Name, timeout: Timeout = None, context: Context = None, namespace: Namespace = None) -> None:
    """Wait for the end of a run, and say how far it is.

    Exit code: 0 succeeded, 1 the cluster does not answer, 2 not accepted, 3 measurement invalid, 4 a model failed,
    124 timeout, 130 interrupted.
    """
    from perbench.cluster.waiting import wait as wait_for

    cluster = _cluster(context, namespace)
    raise typer.Exit(wait_for(cluster, cluster.namespace(), name, timeout, sys.stdout))


def top(name: Name, every: Every = 2.0, context: Context = None, namespace: Namespace = None) -> None:
    """Watch a run while it runs, from the metrics of its bench pods.

    Into a file or a pipe one picture is written. Exit code: 0, 1 the cluster does not answer.
    """
    from perbench.cli.extras import need

    need("prometheus_client", "what reads metrics", "cluster")
    from perbench.cluster.look import looker
    from perbench.live.watch import watch

    cluster = _cluster(context, namespace)
    watch(looker(cluster, cluster.namespace(), name), every, sys.stdout, os.environ.get("TERM"))


def report(
    name: Name,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The page; - for standard output.")
    ] = Path("report.html"),
    results: Annotated[
        Path | None, typer.Option("--results", metavar="FILE", help="Write results.json as well.", show_default=False)
    ] = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Write the page of a run from what it has stored in the cluster."""
    from perbench.cli.output import STANDARD_OUTPUT, write_output
    from perbench.cluster.records import results_of, selector
    from perbench.record import to_text
    from perbench.report import render

    cluster = _cluster(context, namespace)
    place = cluster.namespace()
    body = cluster.benchmark(place, name)
    found = results_of(body, cluster.config_maps(place, selector(body)))
    write_output(output, render(found))
    if results is not None:
        write_output(results, to_text(found))
    for path in (output, results):
        if path is not None and STANDARD_OUTPUT not in {output, results}:
            sys.stdout.write(f"{path}: written\n")


def explain(name: Name, context: Context = None, namespace: Namespace = None) -> None:
    """Tell the story of a run: where it stands, what went wrong, whose affair that is, and what to do."""
    from perbench.cluster.records import UID
    from perbench.cluster.story import story

    cluster = _cluster(context, namespace)
    place = cluster.namespace()
    body = cluster.benchmark(place, name)
    uid = body["metadata"]["uid"]
    sys.stdout.write(story(body, cluster.pods(place, f"{UID}={uid}"), cluster.events(place, uid)))


def _cluster(context: str | None, namespace: str | None) -> "Cluster":
    from perbench.cli.extras import need

    need("kubernetes", "the Kubernetes client", "cluster")
    from perbench.cluster.connection import Cluster

    return Cluster(context, namespace)
