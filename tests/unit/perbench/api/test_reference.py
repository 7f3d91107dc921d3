"""The reference page: every field is there, and the test it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from perbench.api.generate import PROOFS
from perbench.api.reference import api_fields, reference

REPOSITORY = Path(__file__).parents[4]
PROVED = yaml.safe_load((REPOSITORY / PROOFS).read_text(encoding="utf-8"))
PATHS = [path for path, _, _ in api_fields()]
NODE = re.compile(r"(?P<file>tests/\S+\.py)::(?P<name>test_\w+)(\[(?P<case>.+)\])?")


@cache
def functions_in(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_field_has_a_proof_and_no_proof_lacks_its_field() -> None:
    assert set(PATHS) - set(PROVED) == set()
    assert set(PROVED) - set(PATHS) == set()
    assert len(PATHS) > 100


@pytest.mark.parametrize("node_id", sorted(set(PROVED.values())))
def test_the_proof_exists(node_id: str) -> None:
    found = NODE.fullmatch(node_id)
    assert found, "expected FILE::TEST or FILE::TEST[CASE]"
    file = REPOSITORY / found["file"]
    assert file.is_file()
    assert found["name"] in functions_in(file)
    if found["name"].startswith(("test_good", "test_bad")) and found["case"]:
        folder = "good" if "good" in found["name"] else "bad"
        assert (REPOSITORY / f"tests/golden/api/{folder}/{found['case']}.yaml").is_file()


def test_the_page_has_every_field_with_type_limits_meaning_and_proof() -> None:
    page = reference(PROVED)
    assert page.count("\n| `") + page.count("\n| **`") == len(PATHS) - 2
    row = next(line for line in page.splitlines() if line.startswith("| `concurrency` | whole number, 1 to 4096 |"))
    assert "Default 8, unless there is a `rate`." in row
    assert row.endswith(f"| `{PROVED['spec.load.concurrency']}` |")
    assert "| **`models`** | list, 1 to 32 entries, one per `name`: object |" in page
    assert "| `api` | `Completion` or `Chat` |" in page
    assert "| `args` | list, up to 64 entries: text, 1 to 1024 characters |" in page
    assert "| `choices` | list, 2 to 64 entries, no repeats: text, 1 to 128 characters |" in page
    assert "| `affinity` | object, as Kubernetes has it |" in page
    assert "| `tolerations` | list, up to 16 entries: object, as Kubernetes has it |" in page
    assert "| `fields` | map, up to 16 entries: text, up to 16384 characters |" in page
    assert "\n- give exactly one of model, volume and endpoint\n" in page


def test_a_field_without_proof_makes_no_page() -> None:
    with pytest.raises(KeyError, match=r"spec\.load\.concurrency"):
        reference({path: proof for path, proof in PROVED.items() if path != "spec.load.concurrency"})
