"""pydantic and the API server judge alike: the corpus of good and bad files, and both sides of every limit."""

from pathlib import Path
from typing import Any

import pytest

from perbench.api.reading import check_text
from perbench.api.yamltext import read_documents
from tests.support.api_corpus import BAD, GOOD, LimitCase, all_rules, limit_cases, refuser
from tests.support.kube_api import TRIAL, Answer, KubeApi, benchmarks

SENT = [path for path in BAD if refuser(path) != "reader"]
"""Files that hold an object; of the others nothing can be sent."""
STRUCTURAL = [case for case in limit_cases() if case.path[0] == "spec"]


def documents(path: Path) -> list[Any]:
    return [document.data for document in read_documents(path.read_text(encoding="utf-8"))]


def send(api: KubeApi, document: Any) -> Answer:
    """What the API says of a document, without keeping it. A status goes by its own door."""
    status = document.pop("status", None)
    answer = api.create(benchmarks(), document, TRIAL)
    if status is None or not answer.ok:
        return answer
    assert api.create(benchmarks(), document).ok
    path = f"{benchmarks()}/{document['metadata']['name']}"
    try:
        return api.patch(f"{path}/status", {"status": status}, TRIAL)
    finally:
        api.delete(path)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_is_accepted(admin: KubeApi, path: Path) -> None:
    for document in documents(path):
        # An object that comes out of a cluster carries what only the cluster may set.
        document["metadata"].pop("resourceVersion", None)
        document["metadata"].pop("namespace", None)
        answer = send(admin, document)
        assert answer.ok, answer.message


@pytest.mark.parametrize("path", SENT, ids=lambda path: path.stem)
def test_bad_is_refused_by_whom_it_says(admin: KubeApi, path: Path) -> None:
    (document,) = documents(path)
    answer = send(admin, document)
    who = refuser(path)
    if who == "perbench":
        assert answer.ok, answer.message
        return
    assert answer.status in {400, 422}, answer.body
    if who == "rule":
        broken = [rule for rule in all_rules() if rule.cel and rule.message in said_by_perbench(path)]
        assert broken
        for rule in broken:
            assert rule.message in answer.message
            if rule.field:
                assert any(field.endswith(rule.field) for field, _ in answer.causes), answer.causes


def said_by_perbench(path: Path) -> str:
    return "\n".join(str(p) for document in check_text(path.read_text(encoding="utf-8")) for p in document.problems)


@pytest.mark.parametrize("case", STRUCTURAL, ids=str)
def test_limit(admin: KubeApi, case: LimitCase) -> None:
    """The documents break rules between fields on purpose, so only complaints about single fields count."""
    answer = send(admin, case.document)
    rules = {rule.message for rule in all_rules()}
    fields = [message for _, message in answer.causes if not any(rule in message for rule in rules)]
    if case.keyword == "unknown":
        assert (answer.status, "unknown field" in answer.message) == (400, True), answer.message
    elif case.accepted:
        assert fields == [], answer.message
        assert answer.status != 400, answer.message
    else:
        assert answer.status in {400, 422}
        assert fields or answer.status == 400, answer.message
