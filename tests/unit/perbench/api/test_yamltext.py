import pytest

from perbench.api.yamltext import MAX_DEPTH, MAX_VALUES, Place, path_text, read_documents


def read(text: str) -> object:
    (document,) = read_documents(text)
    assert document.problems == []
    return document.data


def complaints(text: str) -> list[str]:
    return [str(problem) for document in read_documents(text) for problem in document.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", "a"),
        ("'1'", "1"),
        ("1", 1),
        ("-12", -12),
        ("+1_000", 1000),
        ("010", 8),
        ("0o17", 15),
        ("-0x1f", -31),
        ("0b101", 5),
        ("08", 8),
        ("1.5", 1.5),
        ("-.5e1", -5),
        ("3.0", 3),
        ("1e3", 1000),
        ("1e3x", "1e3x"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("=", "="),
        ("yes", True),
        ("y", True),
        ("On", True),
        ("off", False),
        ("N", False),
        ("yEs", "yEs"),
        ("'yes'", "yes"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("ü €", "ü €"),
        ("--1", "--1"),
        ("0x", "0x"),
    ],
)
def test_plain_values_are_those_of_kubectl(text: str, value: object) -> None:
    got = read(f"- {text}")
    assert got == [value]
    assert isinstance(got, list)
    assert type(got[0]) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".nan", "1e999", "9" * 5000, "!!int x", "!!float x", "0b_"])
def test_numbers_no_object_can_hold(text: str) -> None:
    assert "is not a number that an object can hold" in complaints(f"- {text}")[0]


def test_places_are_counted_from_one_for_keys_and_values() -> None:
    (document,) = read_documents("a:\n- b: 1\n  c:   [x, yy]\n")
    assert document.place_of(("a", 0, "c"), key=True) == Place(3, 3)
    assert document.place_of(("a", 0, "c")) == Place(3, 8)
    assert document.place_of(("a", 0, "c", 1)) == Place(3, 12)


def test_what_is_not_there_is_placed_at_the_nearest_object_around_it() -> None:
    (document,) = read_documents("---\na: {b: 1}\n")
    assert document.place_of(("a", "c", 3, "d")) == Place(2, 4)
    assert document.place_of(("z",)) == Place(2, 1)


def test_documents_without_content_are_left_out() -> None:
    assert [document.data for document in read_documents("# x\n---\n---\na: 1\n---\nnull\n---\nb: 2\n...\n")] == [
        {"a": 1},
        {"b": 2},
    ]


def test_the_documents_before_a_broken_one_are_read() -> None:
    documents = list(read_documents("a: 1\n---\nb: [\n"))
    assert documents[0].data == {"a": 1}
    assert "not YAML" in str(documents[1].problems[0])


def test_aliases_and_merges() -> None:
    text = "base: &b {k: 1, l: 1}\nsame: *b\none: {<<: *b, k: 2}\nmany: {l: 3, <<: [{l: 4, m: 4}, {m: 5, o: 5}]}\n"
    assert read(text) == {
        "base": {"k": 1, "l": 1},
        "same": {"k": 1, "l": 1},
        "one": {"k": 2, "l": 1},
        "many": {"l": 3, "m": 4, "o": 5},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: a: this key is there already, on line 1"),
        ("x:\n  - {a: 1, a: 1}\n", "2:12: x[0].a: this key is there already, on line 2"),
        ("1: a\n", "1:1: a key is text: quote 1"),
        ("a:\n", "1:3: a: has no value: give one, or leave the field out"),
        ("a: [x, ~]\n", "1:8: a[1]: has no value: give one, or leave the field out"),
        ("a: !mine x\n", "1:4: a: the tag !mine is not known here"),
        ("a: !!set {x, y}\n", "1:12: a.x: has no value: give one, or leave the field out"),
        ("a: *b\n", "1:4: not YAML: found undefined alias 'b'"),
        ("&a [*a]\n", "1:1: an alias contains itself"),
        ("a: {<<: x}\n", "1:9: a: '<<' takes over an object's keys; this is not an object"),
        ("a: \x07\n", "1:4: not YAML: a control character; is this a text file?"),
        ("a: 1\nb: \x00\n", "2:4: not YAML: a control character; is this a text file?"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    assert complaints(text)[0] == message


def test_depth_is_bounded() -> None:
    assert complaints("[" * MAX_DEPTH + "]" * MAX_DEPTH) == []
    assert "nested deeper" in complaints("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))[0]
    assert "nested deeper" in complaints("[" * 100_000)[0]


def test_aliases_cannot_grow_a_small_file() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert str(MAX_VALUES) in complaints("\n".join(lines))[0]


def test_merges_cannot_grow_a_small_file() -> None:
    lines = ["a0: &a0 {k: v}"] + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    assert str(MAX_VALUES) in complaints("\n".join(lines))[0]


def test_path_text() -> None:
    assert path_text(("spec", "models", 0, "name")) == "spec.models[0].name"
    assert path_text(()) == ""
