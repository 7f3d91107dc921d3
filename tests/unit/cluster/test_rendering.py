"""Command lines and configuration files of every component, as a function of the layout, against golden files."""

import sys
from pathlib import Path

import pytest

from tests.cluster import components, configs
from tests.cluster.components import Component
from tests.cluster.layout import Layout, NodeLayout
from tests.support.golden import ROOT, assert_golden

GOLDEN = ROOT / "cluster"
PROGRAMS = Path("/programs")
NODE = NodeLayout("perb-node-1", Path("/clusters/perb-node-1"), PROGRAMS, 40001, store=Path("/stores/0"))
PLANE = Layout("perb-api-1", Path("/clusters/perb-api-1"), PROGRAMS, 40001, 40002)
FILES = configs.files(NODE)


def command_lines(parts: dict[str, Component]) -> str:
    lines = []
    for name, part in parts.items():
        lines += [f"{name}:", *(f"  {word}" for word in part.arguments), ""]
    return "\n".join(lines).replace(sys.executable, "python")


def test_command_lines_of_a_node() -> None:
    assert_golden(GOLDEN / "node.txt", command_lines(components.node(NODE, 7)))


def test_command_lines_of_a_control_plane() -> None:
    assert_golden(GOLDEN / "control-plane.txt", command_lines(components.control_plane(PLANE, controllers=True)))


def test_without_its_program_there_is_no_controller_manager() -> None:
    assert list(components.control_plane(PLANE, controllers=False)) == ["etcd", "kube-apiserver"]


@pytest.mark.parametrize("file", sorted(FILES))
def test_configuration_file(file: str) -> None:
    assert_golden(GOLDEN / "files" / file, FILES[file])


def test_every_golden_file_is_rendered() -> None:
    folder = GOLDEN / "files"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(FILES)


def test_only_the_forwarder_inherits_the_socket_of_the_machine() -> None:
    inheriting = {name: part.descriptors for name, part in components.node(NODE, 7).items() if part.descriptors}
    assert inheriting == {"forward": (7,)}


def test_a_layout_survives_being_written_down() -> None:
    assert NodeLayout.from_description(NODE.described()) == NODE
