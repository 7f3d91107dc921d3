"""The page in a real browser: it does not overflow on a phone or a desk, nothing in it runs, nothing goes wrong."""

import html
import json
import os
import re
import shutil
import subprocess

import pytest

from perbench.report import render
from tests.support import results as runs
from tests.support import tables

REQUIRE = "PERBENCH_REQUIRE_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DEADLINE_SECONDS = 300
RUNS = (
    "succeeded",
    "with_failed_model",
    "with_invalid_stage",
    "with_every_setting",
    "one_launch",
    "one_model",
    "interrupted",
    "hostile",
    "long_names",
)
TABLES = ("study", "study_with_floor", "few_models", "hostile_table", "large_table")
PAGES = (*RUNS, *TABLES)
WIDTHS = (390, 1400)

# The page stands unchanged in a frame of the wanted width: a window may refuse to be as narrow as a phone, and its
# own policy lets nobody measure from the inside. A frame from srcdoc shares the origin of the page around it.
HARNESS = """<!DOCTYPE html><meta charset="utf-8"><body>
{frames}
<script>
addEventListener("load", () => {{
  const found = [...document.querySelectorAll("iframe")].map((frame) => {{
    const root = frame.contentDocument.documentElement;
    const outside = [...root.querySelectorAll("body *")].filter(
      (element) => !element.closest(".scroll") && element.getBoundingClientRect().right > frame.clientWidth + 0.5);
    return {{
      name: frame.id, width: frame.clientWidth, content: root.scrollWidth, height: root.scrollHeight,
      outside: outside.map((element) => element.tagName + "." + element.getAttribute("class")),
      unfilled: [...root.querySelectorAll(".scores")].map((table) => table.getBoundingClientRect().right
        - Math.max(...[...table.querySelectorAll("thead th")].map((head) => head.getBoundingClientRect().right))),
      styled: frame.contentWindow.getComputedStyle(root.querySelector(".scores")).tableLayout,
      scripts: frame.contentDocument.scripts.length,
      drawings: [...root.querySelectorAll(".scatter")].filter((one) => one.getBoundingClientRect().width > 0).map(
        (one) => one.getAttribute("class")),
    }};
  }});
  const answer = document.createElement("pre");
  answer.id = "answer";
  answer.textContent = JSON.stringify(found);
  document.body.replaceChildren(answer);
}});
</script>"""


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"no Chromium ({', '.join(NAMES)}) and {REQUIRE}=1", pytrace=False)
        pytest.skip(f"NOT CHECKED IN A BROWSER: none of {', '.join(NAMES)} is installed")
    return found


def page(name: str) -> str:
    return getattr(tables, name)() if name in TABLES else render(getattr(runs, name)())


@pytest.fixture(scope="session")
def measured(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What the browser says of every page at every width; and what it wrote to its console, as `console`."""
    folder = tmp_path_factory.mktemp("browser")
    frames = "\n".join(
        f'<iframe id="{name}-{width}" width="{width}" height="800" style="border:0"'
        f' srcdoc="{html.escape(page(name))}"></iframe>'
        for name in PAGES
        for width in WIDTHS
    )
    harness = folder / "harness.html"
    harness.write_text(HARNESS.format(frames=frames), encoding="utf-8")
    completed = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr",
            "--window-size=1500,900",
            "--dump-dom",
            harness.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    answer = re.search(r'<pre id="answer">(.*?)</pre>', completed.stdout, re.DOTALL)
    assert answer is not None, completed.stdout[-2000:]
    found = {entry["name"]: entry for entry in json.loads(html.unescape(answer.group(1)))}
    console = [line for line in completed.stderr.splitlines() if "CONSOLE" in line]
    return {**found, "console": {"lines": console}}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_does_not_overflow(measured: dict[str, dict[str, object]], name: str, width: int) -> None:
    page = measured[f"{name}-{width}"]
    assert page["width"] == width
    assert page["styled"] == "fixed", "the policy kept our own style sheet out"
    assert page["height"] > 1000, "the page is not there"
    assert page["content"] <= width
    assert page["outside"] == []
    assert page["scripts"] == 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_the_columns_of_scores_fill_their_table(measured: dict[str, dict[str, object]], name: str, width: int) -> None:
    assert all(gap < 1 for gap in measured[f"{name}-{width}"]["unfilled"]), "a cell spans a column that is hidden"


@pytest.mark.parametrize(("width", "kind"), [(390, "scatter narrow"), (1400, "scatter wide")])
def test_of_each_drawing_the_one_for_the_width_is_seen(
    measured: dict[str, dict[str, object]], width: int, kind: str
) -> None:
    assert measured[f"study-{width}"]["drawings"] == [kind] * 5


def test_the_console_stays_empty(measured: dict[str, dict[str, object]]) -> None:
    assert measured["console"]["lines"] == []
