"""What is built and where it is kept, by what the modules pin."""

from pathlib import Path

import pytest

from tests.cluster import binaries, cache
from tests.cluster.cache import CannotRunError


def test_versions_are_read_from_what_the_modules_pin() -> None:
    text = "module x\n\nrequire k8s.io/kubernetes v1.34.4\n\nrequire (\n\thelm.sh/helm/v4 v4.3.1 // indirect\n)\n"
    assert binaries.pinned_version(text, "k8s.io/kubernetes") == "1.34.4"
    assert binaries.pinned_version(text, "helm.sh/helm/v4") == "4.3.1"
    with pytest.raises(ValueError, match="requires no etcd"):
        binaries.pinned_version(text, "etcd")


@pytest.mark.parametrize(
    ("text", "version"),
    [("go version go1.26.8 linux/amd64", (1, 26)), ("module x\n\ngo 1.26\n", (1, 26)), ("", (0, 0))],
)
def test_versions_of_go(text: str, version: tuple[int, int]) -> None:
    assert binaries.go_version(text) == version


def test_every_program_states_its_version() -> None:
    stamped = {
        name
        for name, program in binaries.PROGRAMS.items()
        if any(".34" in each or ".version=v" in each for each in program.variables)
    }
    assert stamped == set(binaries.PROGRAMS) - {"etcd", "coredns", "pause"}


def test_the_cache_is_outside_the_tree_and_named_by_the_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PERBENCH_CLUSTER_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.root() == tmp_path / "xdg" / "perbench-cluster"
    monkeypatch.setenv("PERBENCH_CLUSTER_CACHE", str(tmp_path / "own"))
    assert cache.root() == tmp_path / "own" / "perbench-cluster"
    assert binaries.folder().parent.name.startswith(f"kubernetes-{binaries.kubernetes_version()}-")


def test_an_envtest_folder_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(CannotRunError, match="has no etcd, kube-apiserver, kubectl"):
        binaries.control_plane(print)
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (tmp_path / name).touch()
    assert binaries.control_plane(print) == tmp_path


def test_a_lock_keeps_others_out_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    said: list[str] = []
    with cache.locked(path, said.append):
        assert cache.try_lock(path) is None
    with cache.locked(path, said.append):
        pass
    assert said == []
