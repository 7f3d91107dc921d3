from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from perbench.cli.crd import register
from perbench.failures import UsageError

REPOSITORY = Path(__file__).parents[4]
CURRENT = (REPOSITORY / "crds/perbench.dev_perbenchmarks.yaml").read_text(encoding="utf-8")


def crd(*arguments: str) -> Result:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, arguments)


def test_it_prints_the_crd_and_nothing_else() -> None:
    result = crd()
    assert (result.exit_code, result.stdout, result.stderr) == (0, CURRENT, "")


def test_it_writes_the_crd(tmp_path: Path) -> None:
    path = tmp_path / "crd.yaml"
    result = crd("--output", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert path.read_text(encoding="utf-8") == CURRENT


def test_where_it_cannot_write_it_says_so(tmp_path: Path) -> None:
    result = crd("--output", str(tmp_path / "none" / "crd.yaml"))
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == f"{tmp_path}/none/crd.yaml: cannot be written: No such file or directory"
    with pytest.raises(FileNotFoundError):
        (tmp_path / "none" / "crd.yaml").read_text()
