"""An image in an OCI archive: its configuration and its files, without a container runtime."""

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast


@dataclass(frozen=True)
class Layer:
    """One layer: the files in it by path, with their sizes in bytes."""

    files: dict[str, int]

    @property
    def size(self) -> int:
        """Bytes of its files, unpacked."""
        return sum(self.files.values())


@dataclass(frozen=True)
class OciImage:
    """One image."""

    config: dict[str, Any]
    layers: tuple[Layer, ...]
    archive: Path

    @classmethod
    def read(cls, archive: Path) -> "OciImage":
        """The image in an archive that holds one."""
        with tarfile.open(archive) as tar:
            manifest = _json(tar, _blob(_json(tar, "index.json")["manifests"][0]))
            layers = []
            for each in manifest["layers"]:
                with tarfile.open(fileobj=_member(tar, _blob(each))) as content:
                    layers.append(Layer({member.name: member.size for member in content}))
            return cls(_json(tar, _blob(manifest["config"])), tuple(layers), archive)

    def text(self, path: str) -> str:
        """The text of a file."""
        with tarfile.open(self.archive) as tar:
            manifest = _json(tar, _blob(_json(tar, "index.json")["manifests"][0]))
            for each, layer in zip(manifest["layers"], self.layers, strict=True):
                if path in layer.files:
                    with tarfile.open(fileobj=_member(tar, _blob(each))) as content:
                        return _member(content, path).read().decode()
        raise FileNotFoundError(path)


def _blob(descriptor: dict[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    return cast("IO[bytes]", tar.extractfile(name))


def _json(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.load(_member(tar, name)))
