from typing import Any

import pytest

from perbench.grafana.changes import (
    DATA_SOURCE_UID,
    ProvisionedError,
    Stored,
    dashboard,
    data_source,
)

WANTED = {"uid": "u", "title": "perbench: T", "panels": [{"id": 1}]}
URL = "http://prometheus:9090"


def stored(folder: str = "f", *, provisioned: bool = False, **other: Any) -> Stored:
    return Stored({**WANTED, "id": 40, "version": 3, **other}, folder, provisioned)


def test_a_dashboard_that_is_missing_is_written() -> None:
    assert dashboard(WANTED, "f", None) == WANTED


def test_grafanas_own_numbers_are_no_change() -> None:
    assert dashboard(WANTED, "f", stored()) is None
    assert dashboard({**WANTED, "version": 1}, "f", stored()) is None


@pytest.mark.parametrize("found", [stored(panels=[]), stored(more="of somebody's"), stored(folder="another")])
def test_a_dashboard_that_differs_is_replaced(found: Stored) -> None:
    assert dashboard(WANTED, "f", found) == WANTED


def test_a_provisioned_dashboard_is_left_alone() -> None:
    assert dashboard(WANTED, "f", stored(provisioned=True)) is None
    with pytest.raises(ProvisionedError, match=r"dashboard perbench: T: .* change it there"):
        dashboard(WANTED, "f", stored(provisioned=True, panels=[]))


def test_a_data_source_is_made_with_the_address() -> None:
    made = data_source(URL, None)
    assert made is not None
    assert (made["uid"], made["type"], made["url"]) == (DATA_SOURCE_UID, "prometheus", URL)
    assert data_source(URL, {**made, "id": 7, "isDefault": True}) is None


def test_a_data_source_keeps_what_people_have_set() -> None:
    found = {**(data_source(URL, None) or {}), "id": 7, "version": 2, "jsonData": {"timeInterval": "5s"}}
    changed = data_source("http://other", found)
    assert changed == {**(data_source("http://other", None) or {}), "jsonData": {"timeInterval": "5s"}}


def test_a_data_source_of_grafanas_files_is_left_alone() -> None:
    found = {**(data_source(URL, None) or {}), "readOnly": True}
    assert data_source(URL, found) is None
    with pytest.raises(ProvisionedError, match="change it there"):
        data_source("http://other", found)
