"""Dashboards as ConfigMaps, as Grafana's sidecar wants them."""

import yaml

from perbench.dashboards import DASHBOARDS
from perbench.dashboards.generate import FOLDER
from perbench.dashboards.operators import WATCH_TOO_OLD_SECONDS
from tests.support.charts import CHARTS, VALUES, Helm, of_kind

MINIMAL = ("--values", VALUES / "default-values.yaml")
ENABLED = ("--set", "grafana.dashboards.enabled=true")
MOST_BYTES = 1024 * 1024
"""That a ConfigMap may have. etcd takes little more."""


def config_maps(helm: Helm, *arguments: str, release: str = "perbench") -> dict[str, dict[str, object]]:
    """Those of the dashboards, by the name of their file."""
    found = of_kind(helm.template("perbench", *MINIMAL, *arguments, release=release), "ConfigMap")
    return {name: each for each in found for name in each["data"] if name.endswith(".json")}


def test_nothing_is_made_that_was_not_asked_for(helm: Helm) -> None:
    assert config_maps(helm) == {}


def test_one_for_each_dashboard_with_the_file_as_it_is(helm: Helm) -> None:
    made = config_maps(helm, *ENABLED)
    assert set(made) == {f"{uid}.json" for uid in DASHBOARDS}
    for name, each in made.items():
        assert each["data"] == {name: (CHARTS.parent / FOLDER / name).read_text(encoding="utf-8")}
        assert len(yaml.safe_dump(each)) < MOST_BYTES / 4, "room for more, and for `kubectl apply`"


def test_the_sidecar_finds_them_by_its_usual_label(helm: Helm) -> None:
    for each in config_maps(helm, *ENABLED).values():
        metadata = each["metadata"]
        assert isinstance(metadata, dict)
        assert metadata["labels"]["grafana_dashboard"] == "1"
        assert metadata["annotations"] == {"grafana_folder": "perbench"}


def test_label_folder_and_further_labels_can_be_told(helm: Helm) -> None:
    told = ("label=find-me", "labelValue=yes", "folder=", "labels.team=platform")
    settings = [part for each in told for part in ("--set-string", f"grafana.dashboards.{each}")]
    for each in config_maps(helm, *ENABLED, *settings).values():
        metadata = each["metadata"]
        assert isinstance(metadata, dict)
        assert {"find-me": "yes", "team": "platform"}.items() <= metadata["labels"].items()
        assert "grafana_dashboard" not in metadata["labels"]
        assert "annotations" not in metadata


def test_long_names_fit(helm: Helm) -> None:
    for each in config_maps(helm, *ENABLED, release="r" * 53).values():
        metadata = each["metadata"]
        assert isinstance(metadata, dict)
        assert len(metadata["name"]) <= 253
        assert all(len(value) <= 63 for value in metadata["labels"].values())


def test_the_limit_that_is_drawn_is_that_of_the_alert() -> None:
    groups = yaml.safe_load((CHARTS / "perbench/files/alerts.yaml").read_text())["groups"]
    (alert,) = (rule for group in groups for rule in group["rules"] if rule["alert"] == "PerbenchWatchTooOld")
    assert alert["expr"] == f"perbench_watch_age_seconds > {WATCH_TOO_OLD_SECONDS:g}"
