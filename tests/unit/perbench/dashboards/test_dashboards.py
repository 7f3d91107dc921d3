"""What holds for every dashboard, read from the files that are shipped."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.cog.runtime import UnknownDataquery
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from perbench.api.generate import stale
from perbench.dashboards import DASHBOARDS, as_json
from perbench.dashboards.frame import CHOSEN_RUNS, DATA_SOURCE, TITLES
from perbench.dashboards.generate import FOLDER, generated
from perbench.dashboards.promql import VARIABLES
from perbench.dashboards.queries import panels
from perbench.grafana.annotations import RunAnnotation

REPOSITORY = Path(__file__).parents[4]
UIDS = ("perbench-run-live", "perbench-compare", "perbench-history", "perbench-operator")
"""Part of addresses that people keep."""
WIDTH = 24


def shipped(uid: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((REPOSITORY / FOLDER / f"{uid}.json").read_text(encoding="utf-8"))
    return read


def loaded(uid: str) -> Dashboard:
    register_default_plugins()
    return Dashboard.from_json(shipped(uid))


def all_panels() -> Iterator[tuple[str, Panel]]:
    for uid in UIDS:
        for panel in panels(loaded(uid)):
            yield uid, panel


PANELS = [pytest.param(panel, id=f"{uid}: {panel.title}") for uid, panel in all_panels()]


def test_what_is_committed_is_current_and_nothing_else_is_there() -> None:
    files = generated(REPOSITORY)
    assert stale(files) == []
    assert set((REPOSITORY / FOLDER).iterdir()) == set(files)
    assert tuple(DASHBOARDS) == tuple(TITLES) == UIDS


@pytest.mark.parametrize("uid", UIDS)
def test_it_is_made_the_same_each_time(uid: str) -> None:
    assert as_json(DASHBOARDS[uid]()) == as_json(DASHBOARDS[uid]())


@pytest.mark.parametrize("uid", UIDS)
def test_grafanas_types_read_all_of_it(uid: str) -> None:
    """Warnings are errors here. What the types did not know would be lost on the way; they may add defaults."""
    read = loaded(uid)
    assert list(lost(shipped(uid), json.loads(json.dumps(read, cls=JSONEncoder)), uid)) == []
    assert not [each for panel in panels(read) for each in panel.targets or () if isinstance(each, UnknownDataquery)]


def lost(part: object, read: object, at: str) -> Iterator[str]:
    """Where something of the first is not in the second."""
    if isinstance(part, dict) and isinstance(read, dict):
        for key, value in part.items():
            yield from lost(value, read.get(key), f"{at}.{key}")
    elif isinstance(part, list) and isinstance(read, list) and len(part) == len(read):
        for number, (one, other) in enumerate(zip(part, read, strict=True)):
            yield from lost(one, other, f"{at}[{number}]")
    elif part != read:
        yield at


@pytest.mark.parametrize("uid", UIDS)
def test_it_can_be_found_and_says_what_it_is(uid: str) -> None:
    read = shipped(uid)
    assert (read["uid"], read["title"], read["tags"]) == (uid, TITLES[uid], ["perbench"])
    assert read["description"]
    assert re.fullmatch(r"\d+[sm]", read["refresh"])
    assert re.fullmatch(r"now-\d+[hd]", read["time"]["from"])
    assert "id" not in read, "Grafana's own number of it"


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_says_what_it_shows(panel: Panel) -> None:
    assert panel.title
    assert (panel.description or "").endswith(".")
    assert panel.targets
    assert panel.field_config
    assert panel.field_config.defaults.unit
    letters = [target.ref_id for target in panel.targets]  # type: ignore[attr-defined]
    assert letters == [chr(ord("A") + number) for number in range(len(letters))]


@pytest.mark.parametrize("uid", UIDS)
def test_panels_fill_the_grid(uid: str) -> None:
    """No hole, no overlap: each line of panels is as wide as the grid."""
    taken: set[tuple[int, int]] = set()
    for panel in shipped(uid)["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])
        }  # fmt: skip
        assert not cells & taken, panel["title"]
        taken |= cells
    assert taken == {(x, y) for x in range(WIDTH) for y in range(max(y for _, y in taken) + 1)}
    numbers = [panel["id"] for panel in shipped(uid)["panels"]]
    titles = [panel["title"] for panel in shipped(uid)["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("uid", UIDS)
def test_the_data_source_is_the_one_that_is_chosen(uid: str) -> None:
    def sources(part: object) -> Iterator[object]:
        for key, value in part.items() if isinstance(part, dict) else enumerate(part if isinstance(part, list) else ()):
            if key == "datasource":
                yield value
            yield from sources(value)

    read = shipped(uid)
    found = list(sources(read))
    wanted = json.loads(json.dumps(DATA_SOURCE, cls=JSONEncoder))
    assert wanted == {"type": "prometheus", "uid": "${datasource}"}
    assert [each for each in found if each != wanted] == [{"type": "grafana", "uid": "-- Grafana --"}], "annotations"
    targets = sum(len(panel.get("targets", ())) for panel in read["panels"])
    assert len(found) == targets + sum("targets" in panel for panel in read["panels"]) + len(VARIABLES) + 2


@pytest.mark.parametrize("uid", UIDS)
def test_namespace_benchmark_model_and_task_can_be_chosen(uid: str) -> None:
    source, *others, unseen = shipped(uid)["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert [each["name"] for each in others] == list(VARIABLES)
    for each in others:
        assert (each["multi"], each["includeAll"], each["allValue"]) == (True, True, ".*")
        text = f'${each["name"]}"'
        asked = any(text in target["expr"] for panel in shipped(uid)["panels"] for target in panel.get("targets", ()))
        assert asked == (each.get("hide") != 2), "shown where it does something"
    asked_first = [re.findall(r"\$(\w+)", each["query"]["query"]) for each in others]
    assert asked_first == [list(VARIABLES)[:number] for number in range(len(VARIABLES))]
    assert (unseen["name"], unseen["hide"]) == (CHOSEN_RUNS, 2)


@pytest.mark.parametrize("uid", UIDS)
def test_runs_of_the_benchmarks_that_are_chosen_are_marked(uid: str) -> None:
    (runs,) = shipped(uid)["annotations"]["list"]
    assert (runs["enable"], runs["target"]["type"], runs["target"]["matchAny"]) == (True, "tags", True)
    assert runs["target"]["tags"] == [f"${CHOSEN_RUNS}"]
    *_, unseen = shipped(uid)["templating"]["list"]
    assert (unseen["multi"], unseen["includeAll"]) == (True, True)
    assert "allValue" not in unseen, "all of them is every one of them: tags know no patterns"
    assert set(re.findall(r"\$(\w+)", unseen["query"]["query"])) == {"namespace", "benchmark", "__range"}


def test_a_tag_is_cut_as_the_annotation_has_it() -> None:
    *_, unseen = shipped(UIDS[0])["templating"]["list"]
    pattern = unseen["regex"].strip("/")
    for name in ("bench", "b" * 253):
        annotation = RunAnnotation(
            namespace="team", benchmark=name, run_id="0", start=datetime(2026, 1, 1, tzinfo=UTC), text="t"
        )
        found = re.search(pattern, f'{{place="team/{name}"}} 1 1767225600000')
        assert found
        assert found[1] in annotation.marks


@pytest.mark.parametrize("uid", UIDS)
def test_it_leads_to_the_others_with_what_is_chosen(uid: str) -> None:
    links = shipped(uid)["links"]
    assert {link["url"]: link["title"] for link in links} == {
        f"/d/{other}": title for other, title in TITLES.items() if other != uid
    }
    assert all(link["includeVars"] and link["keepTime"] and link["type"] == "link" for link in links)


FRONTS = [panel for panel in shipped("perbench-compare")["panels"] if panel["type"] == "xychart"]


def test_the_pareto_front_is_shown_over_each_axis() -> None:
    assert [panel["title"] for panel in FRONTS] == [
        f"Throughput and {axis}" for axis in ("accuracy", "memory", "latency")
    ]


@pytest.mark.parametrize("panel", FRONTS, ids=lambda panel: panel["title"])
def test_points_are_made_of_columns_that_there_are(panel: dict[str, Any]) -> None:
    """A column that is named wrongly is no error to Grafana: it would draw nothing, or all in one colour."""
    (columns,) = [each["options"] for each in panel["transformations"] if each["id"] == "organize"]
    titles = [columns["renameByName"][name] for name in sorted(columns["indexByName"], key=columns["indexByName"].get)]
    (series,) = panel["options"]["series"]
    x, y, mark = (series[part]["matcher"] for part in ("x", "y", "color"))
    assert [x, y, mark] == [{"id": "byName", "options": title} for title in titles[-3:]]
    properties = {
        each["matcher"]["options"]: {name["id"]: name["value"] for name in each["properties"]}
        for each in panel["fieldConfig"]["overrides"]
    }
    assert set(properties) == {x["options"], mark["options"]}, "the other has the panel's unit"
    (colors,) = properties[mark["options"]]["mappings"]
    assert len({each["color"] for each in colors["options"].values()}) == 2


def test_the_manual_has_all() -> None:
    manual = (REPOSITORY / "docs/grafana.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| (perbench: [^|]+) \| `([^`]+)` \|", manual, re.MULTILINE)) == {
        title: uid for uid, title in TITLES.items()
    }
