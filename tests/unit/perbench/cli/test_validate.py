import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from perbench.cli.validate import register
from tests.support.golden import ROOT

GOOD = ROOT / "api/good"
BAD = ROOT / "api/bad"


def validate(*files: Path) -> Result:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, [str(file) for file in files])


def test_good_files_are_named_with_what_they_hold() -> None:
    result = validate(GOOD / "full.yaml", GOOD / "two-documents.yaml")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        f"{GOOD}/full.yaml: ok (full: 5 models, 5 tasks)",
        f"{GOOD}/two-documents.yaml: ok (one: 1 model, 1 task)",
        f"{GOOD}/two-documents.yaml: ok (two: 1 model, 1 task)",
    ]


def test_every_mistake_of_every_file_is_told() -> None:
    result = validate(BAD / "many-mistakes.yaml", GOOD / "minimal.yaml", BAD / "no-models.yaml")
    assert result.exit_code == 2
    said = "".join((BAD / f"{name}.txt").read_text(encoding="utf-8") for name in ("many-mistakes", "no-models"))
    expected = [f"{BAD}/{line}" for line in said.splitlines()]
    assert result.stderr.splitlines() == expected
    assert result.stdout == f"{GOOD}/minimal.yaml: ok (minimal: 1 model, 1 task)\n"


def test_the_good_document_of_a_half_good_file_is_named_too() -> None:
    result = validate(BAD / "second-document.yaml")
    assert result.exit_code == 2
    assert "ok (second-document: 1 model, 1 task)" in result.stdout
    assert "12:7: kind" in result.stderr


def test_files_that_cannot_be_read_do_not_keep_the_others_from_being_checked(tmp_path: Path) -> None:
    binary = tmp_path / "model.gguf"
    binary.write_bytes(b"GGUF\xff\x00")
    result = validate(tmp_path / "none.yaml", binary, tmp_path, GOOD / "minimal.yaml")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{tmp_path}/none.yaml: cannot be read: No such file or directory",
        f"{tmp_path}/model.gguf: not a text file in UTF-8 (byte 4)",
        f"{tmp_path}: cannot be read: Is a directory",
    ]
    assert "minimal" in result.stdout


@pytest.mark.parametrize("command", ["validate", "crd"])
def test_commands_load_nothing_heavy_before_they_run(command: str) -> None:
    code = f"import sys, perbench.cli.{command}; print([m for m in ('pydantic', 'yaml', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
