from pathlib import Path

import pytest

from perbench.failures import UsageError
from perbench_operator.configuration import LogLevel, OperatorConfiguration, read_configuration


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "operator.yaml"
    path.write_text("")
    assert read_configuration(path) == OperatorConfiguration()


def test_everything(tmp_path: Path) -> None:
    path = tmp_path / "operator.yaml"
    path.write_text('namespaces: ["team-a", "team-b"]\nprobePort: 9090\nlogLevel: Debug\n')
    expected = OperatorConfiguration(namespaces=("team-a", "team-b"), probe_port=9090, log_level=LogLevel.DEBUG)
    assert read_configuration(path) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- a", "the document: "),
        ("namespace: a", "namespace: Extra inputs are not permitted"),
        ("namespaces: [Team_A]", "namespaces.0: "),
        ("probe_port: 1", "probe_port: "),
        ("probePort: 0", "probePort: "),
        ("logLevel: Loud", "logLevel: "),
        ("a: [", "not YAML: "),
    ],
)
def test_a_mistake_is_one_line_that_names_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "operator.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        read_configuration(path)
    assert str(raised.value).startswith(f"{path}: {complaint}")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_configuration(tmp_path / "operator.yaml")
