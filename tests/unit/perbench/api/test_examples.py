"""Every example is one good benchmark, and its head says what it is for."""

from pathlib import Path

import pytest

from perbench.api.reading import read_file

EXAMPLES = sorted((Path(__file__).parents[4] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_good_benchmark_of_its_files_name(path: Path) -> None:
    assert read_file(path).metadata.name == path.stem


def test_all_examples_are_here() -> None:
    names = {path.stem for path in EXAMPLES}
    assert names >= {"quickstart", "five-models-tgi", "vllm-against-tgi", "existing-endpoint", "air-gapped"}
