from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perbench.failures import UsageError
from perbench.per import Measured
from perbench.per.table import TableRow, parse_table, read_table
from tests.support.per_rows import STUDY

HEADER = "task,kind,model,accuracy,throughput,latency_ms,memory_mb,per\n"


def parse(text: str) -> tuple[TableRow, ...]:
    return parse_table(text.encode(), "t.csv").rows


def refusal(data: str | bytes) -> str:
    with pytest.raises(UsageError) as caught:
        parse_table(data if isinstance(data, bytes) else data.encode(), "t.csv")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_row_of_the_study() -> None:
    table = read_table(STUDY)
    assert len(table.rows) == 80
    assert [len(rows) for rows in table.tasks().values()] == [16] * 5
    measured = Measured("Qwen2.5-0.5B", accuracy=0.3768, throughput=7927, memory=1024, latency=0.15)
    assert table.rows[0] == TableRow(2, "gsm8k", "generation", measured, 0.4546)
    assert table.has_published
    assert table.unused_columns == ()


def test_columns_in_any_order_and_without_the_optional_ones() -> None:
    (row,) = parse("memory_mb,latency_ms,model,task,accuracy,throughput\n1,2,m,t,3,4\n")
    assert row == TableRow(2, "t", None, Measured("m", accuracy=3, throughput=4, memory=1, latency=2), None)
    assert not parse_table(b"memory_mb,latency_ms,model,task,accuracy,throughput\n1,2,m,t,3,4\n", "t").has_published


def test_columns_that_are_not_used_are_named() -> None:
    table = parse_table((HEADER.strip() + ",params_billion,Per,note\nt,,m,1,1,1,1,,7,x,y\n").encode(), "t.csv")
    assert table.unused_columns == ("Per", "note")


def test_empty_figures_are_not_measured() -> None:
    (row,) = parse(HEADER + "t,generation,m,,10,,  ,\n")
    assert row.measured == Measured("m", accuracy=None, throughput=10, memory=None, latency=None)
    assert row.published is None


def test_byte_order_mark_crlf_quotes_spaces_and_blank_lines() -> None:
    text = "\ufeff" + HEADER.replace("\n", "\r\n") + '\r\nt , generation,"a, ""b""", 0.5 ,1e3,.5,5.,1\r\n,,,,,,,\r\n'
    (row,) = parse(text)
    assert row.line == 3
    assert row.measured == Measured('a, "b"', accuracy=0.5, throughput=1000, memory=5, latency=0.5)


@pytest.mark.parametrize("column", ["task", "model", "accuracy", "throughput", "latency_ms", "memory_mb"])
def test_a_missing_column_is_named(column: str) -> None:
    assert refusal(HEADER.replace(column, "other")).startswith(f"t.csv:1: column {column!r} is missing; ")


def test_a_misspelt_column_is_recognised() -> None:
    assert refusal(HEADER.replace("memory_mb", "memory_gb")).endswith("rename 'memory_gb'")


ARABIC_ONE = "\N{ARABIC-INDIC DIGIT ONE}"
GOOD = "t,generation,m,0.5,10,1,1000,0.4"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (GOOD.replace("0.5", "high"), "accuracy 'high' is not a number; "),
        (GOOD.replace("0.5", "nan"), "accuracy 'nan' is not a number; "),
        (GOOD.replace("0.5", "inf"), "accuracy 'inf' is not a number; "),
        (GOOD.replace("1000", "1_000"), "memory_mb '1_000' is not a number; "),
        (GOOD.replace("1000", '"1,000"'), "memory_mb '1,000' is not a number; "),
        (GOOD.replace("1000", ARABIC_ONE), f"memory_mb '{ARABIC_ONE}' is not a number; "),
        (GOOD.replace("10,1,", "-10,1,"), "throughput -10 is negative; "),
        (GOOD.replace("0.4", "-0.4"), "per -0.4 is negative; "),
        (GOOD.replace("1000", "1e999"), "memory_mb 1e999 is out of range; "),
        (GOOD.replace("generation", "Generating"), "kind 'Generating' is unknown; "),
        (GOOD.replace(",m,", ",,"), "model is ''; "),
        (GOOD.replace("t,", ",", 1), "task is ''; "),
        (GOOD.replace(",m,", ",m\x1b[31m,"), r"model is 'm\x1b[31m'; "),
        ("t,generation,m,0.5", "has 4 fields where the first line names 8 columns"),
        (GOOD + ",1", "has 9 fields where the first line names 8 columns"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(line: str, complaint: str) -> None:
    first = GOOD.replace(",m,", ",first,")
    assert refusal(f"{HEADER}{first}\n{line}\n").startswith(f"t.csv:3: {complaint}")


def test_a_model_twice_in_one_task() -> None:
    twice = GOOD.replace("0.5", "0.6")
    assert refusal(f"{HEADER}{GOOD}\n{twice}\n") == "t.csv:3: t / m is already in line 2; keep one of the two"


def test_a_model_in_two_tasks_is_no_duplicate() -> None:
    assert len(parse(f"{HEADER}{GOOD}\n{GOOD.replace('t', 'u', 1)}\n")) == 2


def test_a_row_over_two_lines_is_named_by_its_first() -> None:
    assert refusal(f'{HEADER}{GOOD}\nt,generation,"n\nn",0.5,10,1,1000,0.4\n').startswith("t.csv:3: model ")


def test_one_task_has_one_kind() -> None:
    other = GOOD.replace(",m,", ",n,").replace("generation", "classification")
    assert "task t is classification here and generation in line 2" in refusal(f"{HEADER}{GOOD}\n{other}\n")


def test_a_task_too_large_to_compare() -> None:
    rows = "\n".join(GOOD.replace(",m,", f",m{i},") for i in range(1001))
    assert refusal(f"{HEADER}{rows}\n") == "t.csv:1002: task t has more than 1000 models; split the table"


@pytest.mark.parametrize("empty", ["", "\n\n", " \n", "\ufeff"])
def test_an_empty_file(empty: str) -> None:
    assert refusal(empty).startswith("t.csv: is empty; ")


def test_a_header_alone() -> None:
    assert refusal(HEADER).startswith("t.csv: has column names and no rows")


def test_a_column_twice() -> None:
    assert refusal("task," + HEADER).startswith("t.csv:1: column 'task' appears more than once")


def test_not_utf8() -> None:
    data = (HEADER + GOOD + "\n").encode() + GOOD.replace(",m,", ",é,").encode("latin-1")
    assert refusal(data).startswith("t.csv:3: is not UTF-8 text; ")


@pytest.mark.parametrize("broken", ['t,generation,"m,0.5,10,1,1000,0.4\n', 't,generation,"m"x,0.5,10,1,1000,0.4\n'])
def test_broken_quotes(broken: str) -> None:
    assert refusal(HEADER + broken).startswith("t.csv:2: is not CSV: ")


@pytest.mark.parametrize("data", [b"PK\x03\x04\x00\x00", b"\x00" * 200_000])
def test_something_else_than_a_table(data: bytes) -> None:
    assert refusal(data).startswith("t.csv:1: ")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.csv: cannot be read: No such file or directory; "):
        read_table(tmp_path / "gone.csv")
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory; "):
        read_table(tmp_path)


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: (HEADER + text).encode())))
def test_any_bytes_are_a_table_or_one_line_of_refusal(data: bytes) -> None:
    try:
        rows = parse_table(data, "t.csv").rows
    except UsageError as error:
        refused = str(error)
    else:
        assert rows
        return
    assert len(refused.splitlines()) == 1
    assert refused.startswith("t.csv:")
