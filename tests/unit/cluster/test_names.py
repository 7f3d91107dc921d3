"""Small decisions about names: subjects of certificates, values of the chart."""

import json
from pathlib import Path

import pytest

from tests.cluster import charts, keeper, pki
from tests.cluster.cache import CannotRunError
from tests.cluster.images import IMAGES


def test_a_subject_is_a_user_in_groups() -> None:
    assert pki.subject("anna", ("dev", "team/blue")) == "/O=dev/O=team\\/blue/CN=anna"


def test_a_kubeconfig_needs_no_other_file(tmp_path: Path) -> None:
    for name in ("ca.crt", "anna.crt", "anna.key"):
        (tmp_path / name).write_text(name)
    document = json.loads(pki.kubeconfig(tmp_path, "anna", "https://127.0.0.1:6443"))
    assert document["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:6443",
        "certificate-authority-data": "Y2EuY3J0",
    }
    assert document["users"] == [
        {"name": "anna", "user": {"client-certificate-data": "YW5uYS5jcnQ=", "client-key-data": "YW5uYS5rZXk="}}
    ]


def test_the_chart_starts_the_images_of_the_table() -> None:
    values = charts.image_values()
    assert values["imageRegistry"] + "/" + values["images.operator.repository"] + ":" + values[
        "images.operator.tag"
    ] == (IMAGES["operator"].tag)


def test_images_have_names_of_their_own() -> None:
    assert len({image.tag for image in IMAGES.values()}) == len(IMAGES)
    assert all(image.tag.startswith("perb.local/") for image in IMAGES.values())


def test_a_folder_too_deep_for_sockets_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / ("x" * 80)))
    with pytest.raises(CannotRunError, match="set TMPDIR to a shorter one"), keeper.claimed("perb-deep"):
        pass
