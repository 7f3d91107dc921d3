"""Clusters as pytest fixtures. A conftest.py imports those it uses."""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.cluster import control_plane as planes
from tests.cluster import existing, images, node
from tests.cluster.api import Kubectl
from tests.cluster.cache import CannotRunError, Say
from tests.cluster.control_plane import ControlPlane
from tests.cluster.existing import ExistingCluster
from tests.cluster.node import Node

REQUIRE = "PERBENCH_REQUIRE_CLUSTER"


def not_run(error: CannotRunError) -> None:
    """Skip with the reason, or fail with it where a cluster is required."""
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{error} ({REQUIRE}=1)", pytrace=False)
    pytest.skip(f"NOT RUN ON KUBERNETES: {error}")


def aloud(config: pytest.Config) -> Say:
    """Says progress on the terminal even while pytest captures: the first run builds for minutes."""
    capture = config.pluginmanager.getplugin("capturemanager")
    reporter = config.pluginmanager.getplugin("terminalreporter")

    def say(line: str) -> None:
        with suppress(AttributeError), capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"cluster: {line}")

    return say


@pytest.fixture(scope="session")
def control_plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane | ExistingCluster]:
    """An API server for all tests of a session; each uses namespaces and users of its own."""
    say = aloud(request.config)
    try:
        if existing.asked_for():
            yield existing.attach(tmp_path_factory.mktemp("cluster"), say)
        else:
            with planes.running(say) as plane:
                yield plane
    except CannotRunError as error:
        not_run(error)


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node | ExistingCluster]:
    """A cluster that runs pods, with every image of this checkout, for all tests of a session."""
    say = aloud(request.config)
    try:
        if existing.asked_for():
            yield existing.attach(tmp_path_factory.mktemp("cluster"), say)
        else:
            with node.running(images.prepare(images.available(), say), say) as started:
                yield started
    except CannotRunError as error:
        not_run(error)


@pytest.fixture
def pods(cluster: Node | ExistingCluster) -> Iterator[Kubectl]:
    """kubectl in a new namespace, in which pods can be created."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    there = cluster.kubectl.in_namespace(name)
    there("wait", "--for=create", "serviceaccount/default", "--timeout=120s")
    yield there
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def own_node(cluster: Node | ExistingCluster) -> Node:
    """The node of these tests, for what nobody does to a cluster of somebody's."""
    if isinstance(cluster, ExistingCluster):
        pytest.skip(f"NOT RUN ON KUBERNETES: {existing.YES}=yes, and this is about the node that the tests start")
    return cluster
