"""The control plane of these tests: who asks is who the certificate names, and nothing survives its owner."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import keeper
from tests.cluster.api import Kubectl, wait_until
from tests.cluster.control_plane import ControlPlane

ROOT = Path(__file__).parents[2]
OWNER = """
import time
from tests.cluster import control_plane
with control_plane.running(lambda line: None) as mine:
    print(mine.layout.name, flush=True)
    time.sleep(3600)
"""


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[Kubectl]:
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield control_plane.kubectl.in_namespace(name)
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


def config_map(name: str, owner: dict[str, object] | None = None) -> dict[str, object]:
    metadata = {"name": name, **({"ownerReferences": [owner]} if owner else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def reference(owner: dict[str, dict[str, object]]) -> dict[str, object]:
    name, uid = owner["metadata"]["name"], owner["metadata"]["uid"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": True}


def test_a_user_has_the_rights_of_its_name_and_groups(control_plane: ControlPlane, namespace: Kubectl) -> None:
    namespace("create", "role", "team", "--verb=get,list,create", "--resource=configmaps")
    namespace("create", "rolebinding", "team", "--role=team", "--group=team/blue")
    nobody = namespace.as_user(control_plane.kubeconfig_for("anna"))
    member = namespace.as_user(control_plane.kubeconfig_for("anna", "team/blue", "others"))
    assert "anna" in member("auth", "whoami", "--output=jsonpath={.status.userInfo.username}")
    assert "Forbidden" in nobody.run("get", "configmaps").stderr
    wait_until(lambda: member.run("get", "configmaps").returncode == 0, "the right takes effect", 120)
    member("create", "--filename=-", document=config_map("hers"))
    assert "Forbidden" in member.run("get", "configmaps", "--namespace=kube-system").stderr


def test_blocking_the_deletion_of_an_owner_takes_the_right_to_finalize_it(
    control_plane: ControlPlane, namespace: Kubectl
) -> None:
    namespace.apply(config_map("owner"))
    owner = namespace.get("configmap", "owner")
    namespace("create", "role", "writer", "--verb=get,list,create,patch", "--resource=configmaps")
    namespace("create", "rolebinding", "writer", "--role=writer", "--user=writer")
    writer = namespace.as_user(control_plane.kubeconfig_for("writer"))
    child = config_map("child", reference(owner))
    wait_until(lambda: writer.run("get", "configmaps").returncode == 0, "the right takes effect", 120)
    assert "set blockOwnerDeletion" in writer.run("create", "--filename=-", document=child).stderr
    namespace("create", "role", "finalizer", "--verb=update", "--resource=configmaps/finalizers")
    namespace("create", "rolebinding", "finalizer", "--role=finalizer", "--user=writer")
    wait_until(
        lambda: writer.run("create", "--filename=-", document=child).returncode == 0, "the right takes effect", 120
    )


def test_what_an_owner_leaves_is_collected(control_plane: ControlPlane, namespace: Kubectl) -> None:
    if not control_plane.collects_garbage:
        pytest.skip("NOT RUN ON KUBERNETES: this control plane has no controller manager (KUBEBUILDER_ASSETS)")
    namespace.apply(config_map("owner"))
    namespace.apply(config_map("child", reference(namespace.get("configmap", "owner"))))
    namespace("delete", "configmap", "owner")
    wait_until(lambda: namespace.run("get", "configmap", "child").returncode == 1, "the child is collected", 300)


@pytest.mark.usefixtures("control_plane")
def test_nothing_survives_a_killed_owner() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, cwd=ROOT) as owner:
        try:
            assert owner.stdout is not None
            name = owner.stdout.readline().strip()
            assert keeper.alive(name)
        finally:
            owner.kill()
    wait_until(lambda: not keeper.remains(name), f"everything of {name} is gone", 180)
