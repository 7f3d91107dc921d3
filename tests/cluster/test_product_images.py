"""The product's images: who they run as, what is in them and what is not, and how large they are."""

import json
import re
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.cache import CannotRunError
from tests.cluster.plugin import aloud, not_run
from tests.support.oci import OciImage

REPOSITORY = Path(__file__).parents[2]
PRODUCT = ("operator", "bench")
ROOM = 200_000_000
"""Bytes of files above the base."""


@pytest.fixture(scope="module", params=PRODUCT)
def product(request: pytest.FixtureRequest) -> tuple[str, OciImage]:
    name: str = request.param
    try:
        _, archive = images.prepare((name,), aloud(request.config))
    except CannotRunError as error:
        not_run(error)
    return name, OciImage.read(archive)


def own(image: OciImage) -> dict[str, int]:
    """The files above the base: from the layer on that has the environment."""
    first = next(number for number, layer in enumerate(image.layers) if "opt/perbench/bin" in layer.files)
    return {path: size for layer in image.layers[first:] for path, size in layer.files.items()}


def test_it_runs_as_a_numbered_user_who_is_not_root(product: tuple[str, OciImage]) -> None:
    name, image = product
    settings = image.config["config"]
    assert settings["User"] == "65532:65532"
    assert settings["Entrypoint"] == [f"perbench-{name}"]
    assert f"opt/perbench/bin/perbench-{name}" in own(image)


def test_it_says_what_it_is(product: tuple[str, OciImage]) -> None:
    name, image = product
    labels = image.config["config"]["Labels"]
    assert labels["org.opencontainers.image.title"].startswith(f"perbench {name}")
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    for key in ("description", "version", "revision"):
        assert labels[f"org.opencontainers.image.{key}"]


def test_it_has_room(product: tuple[str, OciImage]) -> None:
    name, image = product
    size = sum(own(image).values())
    assert size <= ROOM, f"{name}: {size / 1e6:.0f} MB above its base"


def test_it_holds_nothing_that_only_building_needs(product: tuple[str, OciImage]) -> None:
    _, image = product
    everything = [path for layer in image.layers for path in layer.files]
    assert not [
        path
        for path in everything
        if re.search(r"(^|/)bin/([a-z0-9_-]*-)?(gcc|g\+\+|cc|ld|rustc|cargo)(-[0-9]+)?$", path)
    ]
    mine = own(image)
    assert not [path for path in mine if "/pip/" in path or "/hatchling/" in path or "/cyclonedx" in path]
    assert not [path for path in mine if path.endswith(".pyc") or path.startswith(("root/", "home/"))]
    assert not [path for path in mine if path.startswith("tmp/")]
    assert not [path for path in everything if path.startswith(("tools/", "wheel/", "source/"))]


def test_its_list_of_packages_is_what_is_locked(product: tuple[str, OciImage]) -> None:
    name, image = product
    listed = json.loads(image.text("opt/perbench/sbom.cdx.json"))
    assert listed["bomFormat"] == "CycloneDX"
    found = {(normal(each["name"]), each["version"]) for each in listed["components"]}
    lock = (REPOSITORY / f"requirements/{name}.txt").read_text()
    locked = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", lock, re.MULTILINE)
    assert {pair for pair in found if pair[0] != "perbench"} <= {(normal(each), version) for each, version in locked}
    needed = {"operator": {"kopf", "kubernetes", "pydantic"}, "bench": {"uvloop", "httptools", "pydantic"}}
    assert {package for package, _ in found} >= needed[name] | {"perbench"}
    assert not {package for package, _ in found} & {"operator": {"uvloop"}, "bench": {"kopf", "kubernetes"}}[name]


def test_what_speaks_to_grafana_has_an_environment_of_its_own(product: tuple[str, OciImage]) -> None:
    """Its packages are those that are locked; those that the operator has as well are there once."""
    name, image = product
    mine = own(image)
    beside = {path: size for path, size in mine.items() if path.startswith("opt/perbench-grafana/")}
    if name == "bench":
        assert beside == {}
        return
    assert {"opt/perbench-grafana/bin/perbench", "opt/perbench-grafana/sbom.cdx.json"} <= set(beside)
    assert any("/urllib3_future/" in path for path in beside)
    assert not [path for path in mine if "urllib3_future" in path and path not in beside]
    assert sum(beside.values()) <= 25_000_000
    listed = json.loads(image.text("opt/perbench-grafana/sbom.cdx.json"))
    found = {(normal(each["name"]), each["version"]) for each in listed["components"]}
    lock = (REPOSITORY / "requirements/grafana.txt").read_text()
    locked = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", lock, re.MULTILINE)
    assert {pair for pair in found if pair[0] != "perbench"} <= {(normal(each), version) for each, version in locked}
    assert {package for package, _ in found} >= {"perbench", "grafana-client", "grafana-foundation-sdk"}


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
