"""What has to be written into a Grafana. Pure. None: nothing, it is there already."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perbench.errors import PerbenchError

Json = Mapping[str, Any]

DATA_SOURCE_UID = "perbench-prometheus"
DATA_SOURCE_NAME = "perbench Prometheus"
GRAFANAS_OWN = ("id", "version")
"""Fields of a dashboard that Grafana numbers."""
READ_ONLY = ("id", "orgId", "version", "readOnly", "typeLogoUrl", "secureJsonFields", "accessControl", "apiVersion")
"""Fields of a data source that are told and not taken."""


class ProvisionedError(PerbenchError):
    """What is there comes from files of Grafana, and only these can change it."""


@dataclass(frozen=True)
class Stored:
    """A dashboard as Grafana has it."""

    body: Json
    folder: str
    """The folder's uid."""
    provisioned: bool
    """Whether it comes from a file or a ConfigMap."""


def data_source(url: str, found: Json | None) -> Json | None:
    """The data source with this address of Prometheus. What people have set besides is kept."""
    wanted = {
        "uid": DATA_SOURCE_UID, "name": DATA_SOURCE_NAME, "type": "prometheus", "access": "proxy", "url": url,
    }  # fmt: skip
    if found is None:
        return wanted
    if wanted.items() <= found.items():
        return None
    if found.get("readOnly"):
        raise ProvisionedError(f"data source {DATA_SOURCE_NAME}: it comes from Grafana's files: change it there")
    return {name: value for name, value in found.items() if name not in READ_ONLY} | wanted


def dashboard(wanted: Json, folder: str, found: Stored | None) -> Json | None:
    """The dashboard, where Grafana has another or has it in another folder."""
    if found is None:
        return wanted
    if _without_numbers(found.body) == _without_numbers(wanted) and found.folder == folder:
        return None
    if found.provisioned:
        raise ProvisionedError(
            f"dashboard {wanted['title']}: it comes from Grafana's files or from ConfigMaps (chart value "
            "grafana.dashboards): change it there"
        )
    return wanted


def _without_numbers(body: Json) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in GRAFANAS_OWN}
