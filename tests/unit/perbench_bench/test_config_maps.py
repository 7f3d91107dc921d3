"""ConfigMaps over a real HTTPS connection to a double of the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from perbench.failures import Blame, RunError, UsageError
from perbench_bench.api_server import Access, access_of_pod
from perbench_bench.config_maps import FORBIDDEN_SECONDS, ConfigMaps, ConflictError
from tests.support.config_map_api import NAMESPACE, ConfigMapApi, config_map_api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ConfigMapApi]:
    with config_map_api(tmp_path / "account") as double:
        double.create("one", data={"a": "1"}, binaryData={"b": "eA=="})
        yield double


class Clock:
    """Seconds that pass by pauses alone."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        self._now += seconds


def maps(api: ConfigMapApi, patience: float = 30, pauses: list[float] | None = None) -> ConfigMaps:
    return ConfigMaps(api.access, NAMESPACE, patience, (pauses if pauses is not None else []).append)


def test_an_object_is_read_and_changed_as_it_was_read(api: ConfigMapApi) -> None:
    found = maps(api).read("one")
    assert (found.data, found.binary_data) == ({"a": "1"}, {"b": "eA=="})
    changed = maps(api).patch("one", {"data": {"c": "2"}}, found.version)
    assert changed.data == {"a": "1", "c": "2"}
    assert changed.version != found.version


def test_an_object_that_has_changed_meanwhile_is_a_conflict(api: ConfigMapApi) -> None:
    found = maps(api).read("one")
    api.patch("one", {"data": {"a": "other"}})
    with pytest.raises(ConflictError):
        maps(api).patch("one", {"data": {"a": "mine"}}, found.version)
    assert api.objects["one"]["data"] == {"a": "other"}


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_what_passes_is_asked_again_with_growing_pauses(api: ConfigMapApi, status: int) -> None:
    pauses: list[float] = []
    api.faults = [status] * 3
    assert maps(api, pauses=pauses).read("one").data == {"a": "1"}
    assert pauses == [0.5, 1.0, 2.0]


def test_the_token_is_read_anew_for_each_call(api: ConfigMapApi) -> None:
    asking = maps(api)
    asking.read("one")
    api.rotate_token("second")
    asking.read("one")
    assert [asked.status for asked in api.asked] == [200, 200]


def test_an_api_that_stays_away_is_one_line(api: ConfigMapApi) -> None:
    api.faults = [503] * 100
    with pytest.raises(RunError) as caught:
        maps(api, patience=0.2).read("one")
    failure = caught.value.failure
    assert (failure.blame, failure.reason) == (Blame.INFRASTRUCTURE, "ApiUnavailable")
    assert "HTTP 503: on demand" in failure.message
    assert "\n" not in failure.message


def test_nobody_listens(tmp_path: Path, api: ConfigMapApi) -> None:
    with config_map_api(tmp_path / "gone") as other:
        access = other.access
    with pytest.raises(RunError) as caught:
        ConfigMaps(access, NAMESPACE, 0.2).read("one")
    assert caught.value.failure.reason == "ApiUnavailable"
    assert api.asked == []


def test_what_is_not_there_is_not_asked_for_again(api: ConfigMapApi) -> None:
    with pytest.raises(RunError, match="HTTP 404") as caught:
        maps(api).read("two")
    assert caught.value.failure.reason == "ApiRefused"
    assert len(api.asked) == 1


def test_a_right_that_is_missing_is_asked_for_for_a_while(api: ConfigMapApi) -> None:
    """An API server that has just started knows of no Roles yet."""
    clock = Clock()
    asking = ConfigMaps(api.access, NAMESPACE, pause=clock.pass_by, clock=clock)
    api.forbidden = {"one"}
    with pytest.raises(RunError, match="is forbidden") as caught:
        asking.read("one")
    assert caught.value.failure.reason == "ApiRefused"
    assert FORBIDDEN_SECONDS / 2 < clock() <= FORBIDDEN_SECONDS
    api.faults = [403, 403]
    api.forbidden = set()
    assert asking.read("one").data == {"a": "1"}


def test_a_server_that_the_authority_has_not_signed_gets_no_token(tmp_path: Path, api: ConfigMapApi) -> None:
    with config_map_api(tmp_path / "other") as other:
        wrong = Access("127.0.0.1", api.port, other.folder)
        with pytest.raises(RunError, match="certificate"):
            ConfigMaps(wrong, NAMESPACE, 0.2).read("one")
    assert api.asked == []


def test_a_pod_is_told_where_the_api_is(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}
    assert access_of_pod(environment, tmp_path) == Access("10.0.0.1", 6443, tmp_path)
    assert access_of_pod(environment | {"KUBERNETES_SERVICE_PORT_HTTPS": "443"}, tmp_path).port == 443
    with pytest.raises(UsageError, match="KUBERNETES_SERVICE_HOST"):
        access_of_pod({}, tmp_path)
    with pytest.raises(UsageError, match="token"):
        access_of_pod(environment, tmp_path / "nothing")
