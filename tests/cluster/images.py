"""The images that a node runs, as OCI archives in the cache: built by buildah, from files of this repository alone.

No registry is needed: what `python:3-slim` is elsewhere is made on the spot, from Debian's own packages.
"""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import binaries, cache, requirements
from tests.cluster.cache import Say
from tests.cluster.commands import run_aloud, run_repeatedly
from tests.cluster.layout import PAUSE_IMAGE

REPOSITORY = Path(__file__).parents[2]
SUITE = "trixie"
PACKAGES = ("python3", "python3-venv", "python3-pip", "ca-certificates")
BASE_IMAGE = "perb.local/python-base:1"
NOT_IN_BASE = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "dev")
"""Folders whose content the base does without."""
BASE_DOCKERFILE = """FROM scratch
ADD base.tar /
RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -sf python3 /usr/bin/python
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
CMD ["python3"]
"""
PAUSE_DOCKERFILE = """FROM scratch
COPY pause /pause
USER 65535:65535
ENTRYPOINT ["/pause"]
"""
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
"""Of the machine, shown to builds: package indexes may be reached through an authority that only the machine knows."""
KEPT_ARCHIVES = 4
"""Of one image: checkouts on the same machine may differ in it."""


@dataclass(frozen=True)
class Image:
    """An image of this repository. Its context is the root of the repository."""

    tag: str
    dockerfile: str
    target: str | None = None


IMAGES = {
    "operator": Image("perb.local/operator:dev", "Dockerfile", "operator"),
    "bench": Image("perb.local/bench:dev", "Dockerfile", "bench"),
    "llamacpp": Image("perb.local/llamacpp:dev", "tests/images/llamacpp/Dockerfile"),
    "tgi-contract": Image("perb.local/tgi-contract:dev", "tests/images/tgi_contract/Dockerfile"),
    "probe": Image("perb.local/probe:dev", "tests/images/probe/Dockerfile"),
    "prometheus": Image("perb.local/prometheus:dev", "tests/images/prometheus/Dockerfile"),
}
"""All of them. `operator` and `bench` are the product, the others belong to the tests."""


def available() -> tuple[str, ...]:
    """The images whose Dockerfile this checkout has."""
    return tuple(name for name, image in IMAGES.items() if (REPOSITORY / image.dockerfile).is_file())


def prepare(names: Iterable[str], say: Say) -> list[Path]:
    """Archives of the pause image and of these images, built as far as anything changed. Raises CannotRunError."""
    requirements.check(requirements.node())
    base_image(say)
    archives = [_pause_image(say)]
    for name in names:
        image = IMAGES[name]
        arguments = {"BASE_IMAGE": BASE_IMAGE}
        archives.append(build_image(REPOSITORY, REPOSITORY / image.dockerfile, image.target, image.tag, arguments, say))
    return archives


def build_image(
    context: Path, dockerfile: Path, target: str | None, tag: str, build_args: Mapping[str, str], say: Say
) -> Path:
    """Build an image and return its OCI archive, named by the image's own digest.

    Always asked of buildah, which finds out by content what changed: unchanged, this takes a second or so.
    Raises CannotRunError with what buildah says.
    """
    name = tag.rpartition("/")[2].partition(":")[0]
    ids = cache.root() / "images" / f"{name}.id"
    started = time.monotonic()
    with cache.locked(ids.with_suffix(".lock"), say):
        command = ["build", "--isolation=chroot", "--network=host", "--layers", f"--iidfile={ids}", f"--tag={tag}"]
        command += [f"--volume={CA_BUNDLE}:{CA_BUNDLE}:ro"] if Path(CA_BUNDLE).is_file() else []
        command += [f"--build-arg={key}={value}" for key, value in build_args.items()]
        command += [f"--target={target}"] if target else []
        _buildah(*command, f"--file={dockerfile}", str(context), title=f"image {tag}", say=say)
        archive = ids.parent / f"{name}-{ids.read_text().strip().removeprefix('sha256:')[:16]}.tar"
        if not archive.is_file():
            unfinished = archive.with_suffix(".unfinished")
            unfinished.unlink(missing_ok=True)
            _buildah("push", "--quiet", tag, f"oci-archive:{unfinished}:{tag}", title=f"archive of {tag}", say=say)
            unfinished.rename(archive)
            say(
                f"built image {tag} in {time.monotonic() - started:.1f} s: {archive.stat().st_size / 1e6:.0f} MB packed"
            )
        os.utime(archive)
        for old in sorted(ids.parent.glob(f"{name}-*.tar"), key=lambda path: -path.stat().st_mtime)[KEPT_ARCHIVES:]:
            old.unlink()
    return archive


def base_image(say: Say) -> str:
    """Make the Debian base with Python, unless the cache has it; returns its tag. Raises CannotRunError."""
    recipe = hashlib.sha256(repr((SUITE, PACKAGES, NOT_IN_BASE, BASE_DOCKERFILE)).encode()).hexdigest()[:12]
    made = f"{BASE_IMAGE.rpartition(':')[0]}:{recipe}"
    with cache.locked(cache.root() / "base.lock", say):
        if _buildah_knows(made):
            return BASE_IMAGE
        started = time.monotonic()
        folder = cache.root() / "base"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        root = folder / "root"
        say(f"making {BASE_IMAGE} of Debian {SUITE}, once (about a minute)")
        anew = 'rm -rf "$0" && exec debootstrap "$@" "$0"'  # what a try that failed has left is in the way of the next
        bootstrap = ["sh", "-c", anew, str(root), "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE]
        run_repeatedly(bootstrap, _environment(), f"Debian {SUITE}", say)
        leave_out = [f"--exclude=./{path}/*" for path in NOT_IN_BASE]
        pack = ["tar", f"--directory={root}", *leave_out, f"--file={folder}/base.tar", "--create", "."]
        run_aloud(pack, _environment(), "base.tar", say)
        (folder / "Dockerfile").write_text(BASE_DOCKERFILE)
        command = ["build", "--isolation=chroot", f"--tag={BASE_IMAGE}", f"--tag={made}", str(folder)]
        _buildah(*command, title=f"image {BASE_IMAGE}", say=say)
        shutil.rmtree(folder)
        say(f"made {BASE_IMAGE} in {time.monotonic() - started:.0f} s")
    return BASE_IMAGE


def _pause_image(say: Say) -> Path:
    context = cache.root() / "pause"
    context.mkdir(parents=True, exist_ok=True)
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(PAUSE_DOCKERFILE)
    shutil.copy2(binaries.build(("pause",), say) / "pause", context)
    return build_image(context, dockerfile, None, PAUSE_IMAGE, {}, say)


def _buildah(*arguments: str, title: str, say: Say) -> None:
    run_repeatedly([*_buildah_command(), *arguments], _environment(), title, say)


def _buildah_knows(tag: str) -> bool:
    command = [*_buildah_command(), "inspect", "--type=image", tag]
    return subprocess.run(command, capture_output=True, env=_environment(), check=False).returncode == 0


def _buildah_command() -> list[str]:
    folder = cache.root() / "buildah"
    return ["buildah", f"--root={folder}/storage", f"--runroot={folder}/run", "--storage-driver=overlay"]


def _environment() -> dict[str, str]:
    """buildah's own settings: without these it makes folders in /etc."""
    settings = cache.root() / "buildah" / "containers.conf"
    if not settings.is_file():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(f'[network]\nnetwork_config_dir = "{settings.parent}/networks"\n')
    return {**os.environ, "CONTAINERS_CONF": str(settings)}
