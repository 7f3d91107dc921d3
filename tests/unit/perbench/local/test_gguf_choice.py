from pathlib import Path

import pytest

from perbench.local.gguf_choice import ORDER, choose_gguf, is_part, quantisation


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("gguf/Model-BF16.gguf", "BF16"),
        ("Model-UD-Q4_K_XL.gguf", None),
        ("Model-IQ4_XS.gguf", None),
        ("model.gguf", None),
    ],
)
def test_a_name_states_its_quantisation(name: str, kind: str | None) -> None:
    assert quantisation(name) == kind


def test_the_documented_order() -> None:
    names = [f"Model-{kind}.gguf" for kind in ORDER]
    while names:
        expected = f"Model-{ORDER[-len(names)]}.gguf"
        assert choose_gguf(sorted(names)) == expected
        names.remove(expected)


def test_any_stated_quantisation_comes_before_none() -> None:
    assert choose_gguf(["a.gguf", "Model-F32.gguf", "Model-IQ4_XS.gguf"]) == "Model-F32.gguf"
    assert choose_gguf(["README.md", "Model-IQ4_XS.gguf"]) == "Model-IQ4_XS.gguf"


def test_of_equals_the_shortest_name_then_the_alphabet() -> None:
    assert choose_gguf(["old/M-Q4_0.gguf", "M-Q4_0.gguf"]) == "M-Q4_0.gguf"
    assert choose_gguf(["b-Q4_0.gguf", "a-Q4_0.gguf"]) == "a-Q4_0.gguf"


def test_what_stands_beside_a_model_is_not_served() -> None:
    beside = ["mmproj-F16.gguf", "Model.imatrix.gguf", "ggml-vocab-llama.gguf", "mtp-Model-Q4_K_M.gguf"]
    assert choose_gguf(beside) is None
    assert choose_gguf([*beside, "Model-Q2_K.gguf"]) == "Model-Q2_K.gguf"


def test_a_model_in_parts_is_passed_over() -> None:
    parts = ["M-Q4_K_M-00001-of-00002.gguf", "M-Q4_K_M-00002-of-00002.gguf"]
    assert choose_gguf(parts) is None
    assert choose_gguf([*parts, "M-Q8_0.gguf"]) == "M-Q8_0.gguf"
    assert all(map(is_part, parts))


def test_nothing_to_serve() -> None:
    assert choose_gguf([]) is None
    assert choose_gguf(["model.safetensors", "config.json"]) is None


def test_the_documented_order_is_this_one() -> None:
    text = (Path(__file__).parents[4] / "docs" / "local.md").read_text()
    assert ", ".join(ORDER) in text.replace("\n", " ")
