from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench.api.reading import check_text, describe, read_file, read_text
from perbench.api.yamltext import MAX_BYTES
from perbench.failures import UsageError
from tests.support.golden import ROOT

MINIMAL = (ROOT / "api/good/minimal.yaml").read_text(encoding="utf-8")
FULL = (ROOT / "api/good/full.yaml").read_text(encoding="utf-8")


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_one_benchmark(tmp_path: Path) -> None:
    benchmark = read_file(written(tmp_path / "b.yaml", FULL))
    assert benchmark.metadata.name == "full"
    assert benchmark.run_request == "second"
    assert benchmark.summary == "full: 5 models, 5 tasks"
    assert [model.name for model in benchmark.spec.models] == ["hub", "file", "absolute", "packaged", "old-hub-id"]


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert read_file(written(tmp_path / "b.yaml", b"\xef\xbb\xbf" + MINIMAL.encode())).run_request is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x7fELF\x02\x01\xff\xfe", "not a text file in UTF-8 (byte 6)"),
        ("é".encode("utf-16"), "not a text file in UTF-8 (byte 0)"),
        (b"a: 1\x00", "1:5: not YAML: a control character; is this a text file?"),
        ("", "holds nothing: expected a PERBenchmark"),
        ("#" * (MAX_BYTES + 1), f"larger than {MAX_BYTES} bytes, which no API server stores"),
        (f"{MINIMAL}---\n{MINIMAL}", "holds 2 benchmarks; one run takes a file with one"),
    ],
    ids=["binary", "utf-16", "nul", "empty", "large", "two"],
)
def test_files_that_are_no_benchmark(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = written(tmp_path / "b.yaml", content)
    with pytest.raises(UsageError) as caught:
        read_file(path)
    assert str(caught.value).removeprefix(f"{path}:").lstrip() == message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml: cannot be read: No such file or directory"):
        read_text(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_text(tmp_path)


def test_one_line_tells_the_first_mistake_and_how_to_see_the_others(tmp_path: Path) -> None:
    path = written(tmp_path / "b.yaml", MINIMAL.replace("name: a", "nam: a").replace("preset", "presets"))
    with pytest.raises(UsageError) as caught:
        read_file(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:6:5: spec.models[0].name: is missing (")
    assert text.endswith(f"2 more: see perbench validate {path})")
    assert "\n" not in text


def test_a_mistake_in_yaml_is_not_told_twice() -> None:
    """A field without value has a wrong type as well, and the object around it seems to lack something."""
    (checked,) = check_text(MINIMAL.replace("packaged:smollm2-135m", ""))
    assert [problem.field for problem in checked.problems] == ["spec.models[0].model"]
    assert checked.benchmark is None


def test_wrong_values_are_shown_short_and_without_control_characters() -> None:
    (checked,) = check_text(MINIMAL.replace("name: a", r'name: "\e[31m' + "x" * 500 + '"'))
    (problem,) = checked.problems
    shown = describe(Path("b.yaml"), problem)
    assert "\x1b" not in shown
    assert len(shown) < 300


def test_a_password_in_a_url_is_not_repeated() -> None:
    text = MINIMAL.replace("model: packaged:smollm2-135m", 'endpoint: {url: "http://me:secret@host", protocol: TGI}')
    (checked,) = check_text(text)
    assert len(checked.problems) == 1
    assert "secret" not in str(checked.problems[0])


@given(st.text(max_size=200))
def test_any_text_is_judged_without_a_traceback(text: str) -> None:
    assert all(document.problems for document in check_text(text))


@given(st.integers(0, len(FULL) - 1), st.text("{}[]:,-'\"&*!|>%@` \n#a1~", min_size=1, max_size=3))
def test_any_damage_is_judged_without_a_traceback(at: int, damage: str) -> None:
    for document in check_text(FULL[:at] + damage + FULL[at + 1 :]):
        assert (document.benchmark is None) == bool(document.problems)
