"""What a scrape brings, read by prometheus-client's own parsers."""

from collections.abc import Iterable, Mapping
from urllib.request import Request, urlopen

from prometheus_client import parser as classic
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
CLASSIC = "text/plain;version=0.0.4"
GROWING = ("_total", "_bucket", "_count", "_sum")

Key = tuple[str, frozenset[tuple[str, str]]]


class Exposition:
    """The samples of one scrape, by name and labels."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = list(families)
        samples = [sample for family in self.families for sample in family.samples]
        self.values: Mapping[Key, float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value for sample in samples
        }
        assert len(self.values) == len(samples), "a series is there twice"

    def of(self, name: str, **labels: str) -> dict[frozenset[tuple[str, str]], float]:
        """The series of a name that have these labels."""
        wanted = set(labels.items())
        return {found: value for (each, found), value in self.values.items() if each == name and wanted <= found}

    def one(self, name: str, **labels: str) -> float:
        """The only series of a name with these labels."""
        (value,) = self.of(name, **labels).values()
        return value

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        """Cumulative counts by upper end."""
        return {float(dict(found)["le"]): value for found, value in self.of(f"{name}_bucket", **labels).items()}


def read(text: str, content_type: str) -> Exposition:
    """By the format that the answer says it has."""
    parse = openmetrics if content_type.startswith("application/openmetrics-text") else classic
    return Exposition(parse.text_string_to_metric_families(text))


def scrape(port: int, accept: str = OPENMETRICS) -> Exposition:
    """One scrape of this machine."""
    request = Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urlopen(request, timeout=60) as answer:
        return read(answer.read().decode(), answer.headers["Content-Type"])


def shrunk(scrapes: Iterable[Exposition]) -> list[Key]:
    """Counters and buckets that went back, or away, from one scrape to the next."""
    found: list[Key] = []
    before: Mapping[Key, float] = {}
    for one in scrapes:
        growing = {key: value for key, value in one.values.items() if key[0].endswith(GROWING)}
        found += [key for key, value in before.items() if growing.get(key, -1.0) < value]
        before = growing
    return found
