import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench.failures import UsageError
from perbench_bench.tasks.prompts import FILTERS, PROMPT_LIMIT, PromptTemplate

COLUMNS = {"input": " what is it? ", "context": "A long text", "kind": "easy"}


def rendered(source: str, columns: dict[str, str] = COLUMNS) -> str:
    return PromptTemplate(source, "task 't'").render(columns, "items.jsonl:3")


def refusal(source: str, columns: dict[str, str] = COLUMNS) -> str:
    with pytest.raises(UsageError) as caught:
        rendered(source, columns)
    message = str(caught.value)
    assert message.startswith("task 't': ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ input }}", " what is it? "),
        ("{{ input | trim | capitalize }}\n", "What is it?"),
        ("{{ context ~ ': ' ~ kind }}", "A long text: easy"),
        ("{% if kind == 'easy' %}1{% else %}2{% endif %}", "1"),
        ("{% if hint is defined %}{{ hint }}{% else %}none{% endif %}", "none"),
        ("{{ hint | default('none') }}", "none"),
        ("{{ kind if 'long' in context and not kind == 'hard' else input }}", "easy"),
        ("{{ context | truncate(5, true, '') }}", "A lon"),
        ("{{ context | replace('long', 'short') }}", "A short text"),
        ("{# not sent #}{% raw %}{{ input }}{% endraw %}", "{{ input }}"),
        ("{{ kind | length }}{{ 5 }}", "45"),
        ("<b>{{ kind }}</b> & more", "<b>easy</b> & more"),
    ],
)
def test_rendering(source: str, expected: str) -> None:
    assert rendered(source) == expected


def test_columns_are_text_and_never_templates() -> None:
    assert rendered("{{ input }}", {"input": "{{ 7 }} <&> {% if %}"}) == "{{ 7 }} <&> {% if %}"


@given(st.text(min_size=1).filter(str.strip))
def test_a_column_arrives_unchanged(text: str) -> None:
    assert rendered("{{ input }}", {"input": text}) == text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ inptu }}", "items.jsonl:3: the prompt uses the unknown column 'inptu'; did you mean 'input'?"),
        ("{{ xyz }}", "items.jsonl:3: the prompt uses the unknown column 'xyz'; there is input, context, kind"),
        ("{{ kind }}{{ contxt | upper }}", "items.jsonl:3: the prompt uses the unknown column 'contxt'; did you mean"),
        ("a\n{{ input", "line 2 of the prompt: unexpected end of template"),
        ("{% if kind %}", "line 1 of the prompt: Unexpected end of template"),
        ("{% for %}", "line 1 of the prompt: "),
        ("{{ input | uper }}", "line 1 of the prompt uses the unknown filter 'uper'; did you mean 'upper'?"),
        ("{{ kind is define }}", "line 1 of the prompt uses the unknown test 'define'; did you mean 'defined'?"),
        ("{{ input | truncate('x') }}", "items.jsonl:3: the prompt cannot be rendered: "),
        ("{{ 5 | replace('a', 'b') }}", "items.jsonl:3: the prompt cannot be rendered: "),
        ("{{ input | truncate(1, true, 'too long') }}", "items.jsonl:3: the prompt cannot be rendered: "),
        ("{{ '' | first }}", "items.jsonl:3: the prompt uses a value that is not there: No first item"),
        ("  \n", "items.jsonl:3: the prompt is empty; use a column in it, such as {{ input }}"),
        ("{% if kind == 'hard' %}x{% endif %}", "items.jsonl:3: the prompt is empty"),
    ],
)
def test_mistakes_say_what_and_where(source: str, message: str) -> None:
    assert refusal(source).removeprefix("task 't': ").startswith(message)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("{{ ''.__class__.__mro__ }}", "an attribute"),
        ("{{ input['__class__'] }}", "an index"),
        ("{{ input[0] }}", "an index"),
        ("{{ input.upper() }}", "a call"),
        ("{{ range(10 ** 12) }}", "a call"),
        ("{{ cycler('a', 'b').next.__globals__ }}", "an attribute"),
        ("{{ input | attr('__class__') }}", "the unknown filter 'attr'"),
        ("{{ '{0.__class__}' | format(input) }}", "the unknown filter 'format'"),
        ("{{ input | map('upper') }}", "the unknown filter 'map'"),
        ("{{ 'x' | center(100000000000) }}", "the unknown filter 'center'"),
        ("{% for a in 'xxxx' %}{{ a }}{% endfor %}", "a loop"),
        ("{{ 'x' * 10 ** 12 }}", "arithmetic"),
        ("{{ '%1000000000000d' % 1 }}", "arithmetic"),
        ("{{ 9 ** 9 ** 9 }}", "arithmetic"),
        ("{{ -1 }}", "arithmetic"),
        ("{% set a = input ~ input %}{{ a }}", "an assignment"),
        ("{% include '/etc/passwd' %}", "Include"),
        ("{% import 'x' as y %}", "Import"),
        ("{% extends 'x' %}", "Extends"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ input }}", "Macro"),
        ("{% block b %}{% endblock %}", "Block"),
        ("{% filter upper %}x{% endfilter %}", "FilterBlock"),
        ("{% with a = 1 %}{{ a }}{% endwith %}", "With"),
        ("{{ [input] }}", "List"),
        ("{{ {'a': input} }}", "Dict"),
        ("{{ self }}", "`self`"),
    ],
)
def test_what_could_escape_or_run_for_long_is_refused(source: str, what: str) -> None:
    assert f"line 1 of the prompt {'uses' if what.startswith(('the ', '`')) else 'has'} {what}" in refusal(source)


@pytest.mark.parametrize("name", ["range", "dict", "lipsum", "cycler", "namespace", "joiner"])
def test_nothing_of_jinjas_own_is_a_column(name: str) -> None:
    assert f"unknown column '{name}'" in refusal(f"{{{{ {name} }}}}")


def test_a_chain_that_doubles_is_stopped_before_it_is_made() -> None:
    assert f"exceeds {PROMPT_LIMIT} characters" in refusal("{{ 'a' " + "| replace('a', 'aa')" * 60 + "}}")
    assert f"exceeds {PROMPT_LIMIT} characters" in refusal("{{ input | replace('', input) }}", {"input": "x" * 5000})


def test_the_length_of_a_prompt_is_limited() -> None:
    assert f"at most {PROMPT_LIMIT} are allowed" in refusal("{{ input }}!", {"input": "x" * PROMPT_LIMIT})


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 2000 + "input" + ")" * 2000 + " }}",
        "{% if input %}" * 500 + "x" + "{% endif %}" * 500,
        "{{ " + "not " * 3000 + "input }}",
    ],
)
def test_deep_nesting_is_a_mistake_and_not_a_crash(source: str) -> None:
    assert "the prompt is nested too deeply" in refusal(source)


@pytest.mark.parametrize("source", ["{{ input " + "| upper" * 65 + " }}", "{{ input | upper }}" * 65])
def test_the_number_of_filters_is_limited(source: str) -> None:
    assert "the prompt has 65 filters, at most 64 are allowed" in refusal(source)
    assert rendered(source.replace("| upper", "", 1)).strip()


@given(st.text(alphabet="{}%|~()[].'\"# inputfsetrange0-*", max_size=40))
def test_any_template_renders_or_is_refused(source: str) -> None:
    with contextlib.suppress(UsageError):
        assert rendered(source)


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_allowed_exists(name: str) -> None:
    arguments = {"replace": "('a', 'b')"}.get(name, "")
    assert rendered(f"{{{{ kind | {name}{arguments} }}}}")
