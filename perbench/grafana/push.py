"""The folder, the data source and the dashboards, one after the other; each is told as soon as it is done."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from perbench.grafana import changes
from perbench.grafana.changes import DATA_SOURCE_NAME, DATA_SOURCE_UID, Json, Stored


class Verb(StrEnum):
    """What was done."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class Change(NamedTuple):
    """One thing in Grafana."""

    what: str
    verb: Verb


class Grafana(Protocol):
    """What is asked of a Grafana. Every method raises PerbenchError where it refuses or does not answer."""

    def folders(self) -> Mapping[str, str]:
        """The uids of the folders at the top, by title."""

    def create_folder(self, title: str) -> str:
        """The uid of a new folder."""

    def data_source(self, uid: str) -> Json | None:
        """A data source; None: there is none."""

    def create_data_source(self, body: Json) -> None:
        """Make one."""

    def update_data_source(self, uid: str, body: Json) -> None:
        """Replace one."""

    def dashboard(self, uid: str) -> Stored | None:
        """A dashboard; None: there is none."""

    def save_dashboard(self, body: Json, folder: str) -> None:
        """Make or replace one."""


def push(
    grafana: Grafana, dashboards: Mapping[str, Json], folder: str, prometheus_url: str | None = None
) -> Iterator[Change]:
    """Bring Grafana to have these dashboards (by uid) in a folder of this title, and a data source of this address
    where one is given. Done twice, the second time changes nothing."""
    place = grafana.folders().get(folder)
    verb = Verb.UNCHANGED
    if place is None:
        place, verb = grafana.create_folder(folder), Verb.CREATED
    yield Change(f"folder {folder}", verb)
    if prometheus_url is not None:
        yield Change(f"data source {DATA_SOURCE_NAME}", _data_source(grafana, prometheus_url))
    for uid, wanted in dashboards.items():
        yield Change(f"dashboard {wanted['title']}", _dashboard(grafana, uid, wanted, place))


def _data_source(grafana: Grafana, url: str) -> Verb:
    found = grafana.data_source(DATA_SOURCE_UID)
    body = changes.data_source(url, found)
    if body is None:
        return Verb.UNCHANGED
    if found is None:
        grafana.create_data_source(body)
        return Verb.CREATED
    grafana.update_data_source(DATA_SOURCE_UID, body)
    return Verb.UPDATED


def _dashboard(grafana: Grafana, uid: str, wanted: Json, folder: str) -> Verb:
    found = grafana.dashboard(uid)
    body = changes.dashboard(wanted, folder, found)
    if body is None:
        return Verb.UNCHANGED
    grafana.save_dashboard(body, folder)
    return Verb.CREATED if found is None else Verb.UPDATED
