import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from perbench.api.yamltext import read_documents
from perbench.report.manifest import to_yaml

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text", ["0123456789", "12345e6789", "1e5", "y", "Off", "0x1f", "+1", ".5", ".inf", "1_000", "010"]
)
def test_text_that_looks_like_a_number_or_a_boolean_is_quoted(text: str) -> None:
    assert to_yaml({"id": text}) == f"id: '{text}'\n"


@pytest.mark.parametrize("text", ["packaged:smollm2-135m", "./model.gguf", "org/name", "Completion", "-ctk"])
def test_other_text_is_not(text: str) -> None:
    assert to_yaml({"id": text}) == f"id: {text}\n"


def test_several_lines_are_a_block() -> None:
    assert to_yaml({"prompt": "Question: {{ input }}\nAnswer:"}) == "prompt: |-\n  Question: {{ input }}\n  Answer:\n"


def test_repeated_values_are_written_again() -> None:
    shared = ["x"]
    assert to_yaml({"a": shared, "b": shared}) == "a:\n- x\nb:\n- x\n"


@given(JSON)
@example({"0\x85": "1\x85"})
def test_what_is_written_is_read_again(value: object) -> None:
    assert yaml.safe_load(to_yaml({"value": value})) == {"value": value}


def test_it_is_read_by_perbench_as_it_was_written() -> None:
    document = {"id": "12345e6789", "y": "n", "count": 3, "none": {"text": "null", "tilde": "~", "empty": ""}}
    assert [entry.data for entry in read_documents(to_yaml(document))] == [document]
