"""Objects as YAML that every reader understands alike.

PyYAML writes `0123456789`, `12e5` and `y` without quotes, since it reads them as text itself; others read numbers and
booleans (a run's id can look like that).
"""

import re

import yaml
from pydantic import JsonValue
from typing_extensions import override

_NUMBER_LIKE = re.compile(r"[-+]?\.?[0-9].*|[-+]?\.(inf|nan)", re.IGNORECASE | re.DOTALL)
_BOOLEAN_LIKE = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false"})


class _Dumper(yaml.SafeDumper):
    """Quotes what could be taken for something else, writes several lines as a block, and uses no aliases."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None
    if not value.replace("\n", "").isprintable():
        style = '"'
    elif _NUMBER_LIKE.fullmatch(value) or value.lower() in _BOOLEAN_LIKE:
        style = "'"
    elif "\n" in value:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(document: JsonValue) -> str:
    """`document` as YAML, keys in the order given, lines of about 120 characters."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
