import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from perbench.api.generate import PROOFS, generated, main, stale

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / PROOFS).parent.mkdir()
    shutil.copy(REPOSITORY / PROOFS, tmp_path / PROOFS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_committed_is_current() -> None:
    files = generated(REPOSITORY)
    assert {path.relative_to(REPOSITORY).as_posix() for path in files} == {
        "crds/perbench.dev_perbenchmarks.yaml",
        "docs/reference.md",
        "docs/perbenchmark.schema.json",
    }
    assert stale(files) == []


def test_write_then_check(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 1
    assert capsys.readouterr().err.count("not current: run make generate and commit it") == 3
    assert not (checkout / "crds").exists()
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_check_names_the_stale_file_and_leaves_it(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    crd = checkout / "crds/perbench.dev_perbenchmarks.yaml"
    crd.write_text(crd.read_text(encoding="utf-8").replace("maximum: 4096", "maximum: 9999"), encoding="utf-8")
    capsys.readouterr()
    assert main(["--check"]) == 1
    assert capsys.readouterr().err.startswith("crds/perbench.dev_perbenchmarks.yaml: not current")
    assert "9999" in crd.read_text(encoding="utf-8")


def test_the_editor_schema_is_a_json_schema() -> None:
    schema = json.loads(generated(REPOSITORY)[REPOSITORY / "docs/perbenchmark.schema.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
