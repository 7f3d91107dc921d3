"""`perbench grafana push`: the dashboards into a Grafana, over its API. `tell`: the same for a program, with the
annotations of runs."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from perbench.grafana.connection import HttpGrafana

LONGEST_TOKEN = 4096
LONGEST_ORDER = 2**20
REQUEST_SECONDS = 10.0
"""One request of an order takes this long at most: whoever gives it waits for all of them together."""

Url = Annotated[
    str, typer.Option("--url", metavar="URL", show_default=False, help="Grafana's, as https://grafana.example.org.")
]
TokenFile = Annotated[
    Path, typer.Option("--token-file", metavar="FILE", show_default=False, help="With a service account's token.")
]
Folder = Annotated[str, typer.Option("--folder", metavar="TITLE", help="Where they go; it is made if need be.")]
PrometheusUrl = Annotated[
    str | None,
    typer.Option("--prometheus-url", metavar="URL", show_default=False, help="Make a data source of it, too."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    grafana = typer.Typer(name="grafana", help="Dashboards for Grafana.", no_args_is_help=True, rich_markup_mode=None)
    grafana.callback()(_commands)
    grafana.command("push")(push)
    grafana.command("tell")(tell)
    app.add_typer(grafana)


def _commands() -> None:
    """Dashboards for Grafana."""


def push(url: Url, token_file: TokenFile, folder: Folder = "perbench", prometheus_url: PrometheusUrl = None) -> None:
    """Bring the dashboards into a Grafana, and say what changed.

    Run again it changes nothing but what differs. Exit codes: 0, 1 Grafana refuses or does not answer, 2 usage.
    """
    _check(folder)
    grafana = _grafana(url, token_file)
    from perbench.grafana import push as pushed

    for change in pushed(grafana, _dashboards(), folder, prometheus_url):
        sys.stdout.write(f"{change.what}: {change.verb}\n")


def tell(url: Url, token_file: TokenFile, folder: Folder = "perbench", prometheus_url: PrometheusUrl = None) -> None:
    """Carry out an order from standard input, for the operator: dashboards, annotations of runs.

    Order and reports are the JSON of perbench/grafana/orders.py; a line of standard output is one report, written when
    that part is done. Exit codes: 0 everything has a report, also where Grafana refuses; 2 usage.
    """
    _check(folder)
    grafana = _grafana(url, token_file, REQUEST_SECONDS)
    from pydantic import ValidationError

    from perbench.failures import UsageError, first_mistake
    from perbench.grafana.orders import Order
    from perbench.grafana.tell import tell as told

    try:
        order = Order.model_validate_json(sys.stdin.buffer.read(LONGEST_ORDER))
    except ValidationError as error:
        raise UsageError(f"standard input is no order: {first_mistake(error)}") from error
    for report in told(grafana, order, _dashboards, folder, prometheus_url):
        sys.stdout.write(report.model_dump_json(by_alias=True, exclude_none=True) + "\n")
        sys.stdout.flush()


def _check(folder: str) -> None:
    from perbench.failures import UsageError

    if not folder.strip():
        raise UsageError("--folder: give the folder a title")


def _dashboards() -> Mapping[str, Any]:
    """All, by uid, as JSON."""
    import json

    from perbench.dashboards import DASHBOARDS, as_json

    return {uid: json.loads(as_json(make())) for uid, make in DASHBOARDS.items()}


def _grafana(url: str, token_file: Path, timeout: float = 30.0) -> "HttpGrafana":
    from importlib.util import find_spec

    from perbench.failures import UsageError

    if not all(map(find_spec, ("grafana_client", "grafana_foundation_sdk"))):
        raise UsageError(
            "the Grafana client is not installed: pip install 'perbench[grafana]', best apart: docs/grafana.md"
        )
    from perbench.grafana.connection import HttpGrafana

    return HttpGrafana(url, _token(token_file), timeout)


def _token(path: Path) -> str:
    from perbench.failures import UsageError

    try:
        with path.open(encoding="ascii") as file:
            token = file.read(LONGEST_TOKEN + 1).strip()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: this is no token of Grafana") from error
    if not token or len(token) > LONGEST_TOKEN or not token.isprintable() or " " in token:
        raise UsageError(f"{path}: this is no token of Grafana: put the token alone into the file")
    return token
