"""A page as one HTML file that needs nothing else, runs no script and fetches nothing."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from perbench.per.words import ABSENT

TEMPLATES = Path(__file__).parent / "templates"
DASH = "\N{EN DASH}"


def document(template: str, values: dict[str, Any]) -> str:
    """A template with these values. All of them are shown as text, whatever they contain."""
    styles = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template(template)
        .render(
            values,
            # The one style sheet is allowed by its hash: styles or scripts that a name smuggles in would not run.
            style_hash=base64.b64encode(hashlib.sha256(styles.encode()).digest()).decode(),
            styles=Markup(styles),  # noqa: S704 - our own file, and its hash stands in the policy
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["figure"] = _figure
    return environment


def _figure(text: str) -> str:
    """A figure; the dash of an absent one is as wide as a digit."""
    return DASH if text == ABSENT else text


def _printable(value: Any) -> Any:  # noqa: ANN401 - Jinja passes every value of a template through here
    """Text without control and direction characters, which could make a name read as another."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in value)
