"""A Grafana of loopback, as far as `perbench grafana` asks it: folders, data sources, dashboards, annotations. It keeps
what it is given, numbers it, and answers in the words of Grafana 11's API. It needs nothing but Python, so that it can
also be run in a pod: `python3 grafana_double.py PORT`; what it holds is then told at /held."""

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "glsa_of_the_tests"
Answer = tuple[int, Any]
Query = dict[str, list[str]]
LONGEST_TAGS = 500
"""Bytes of an annotation's tags as JSON, unless Grafana is told otherwise."""


@dataclass
class GrafanaDouble:
    """What it holds, and what was asked."""

    url: str
    folders: list[dict[str, Any]] = field(default_factory=list)
    data_sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By uid: `dashboard` and `meta`."""
    writes: list[str] = field(default_factory=list)
    """Method and path of what was not only read."""
    annotations: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    asked: int = 0
    """Requests so far."""
    refuses: Answer | None = None
    """What every request is answered with."""
    refuses_part: tuple[str, Answer] | None = None
    """What those are answered with whose method and path begin so."""
    retry_after: str | None = None
    """The header of refusals."""
    text_type: str = "text/html"
    """Of answers that are text: a page, unless told otherwise."""
    delay: float = 0.0
    """Seconds before an answer."""
    ends_at: int | None = None
    """From this request on no answer comes: the connection breaks off."""

    def answer(self, method: str, path: str, query: Query, body: Any) -> Answer:
        """One request of the API."""
        if self.refuses is not None:
            return self.refuses
        if self.refuses_part is not None and f"{method} {path}".startswith(self.refuses_part[0]):
            return self.refuses_part[1]
        if method == "GET" and path == "/api/annotations":
            return 200, self._found(query)
        if method != "GET":
            self.writes.append(f"{method} {path}")
        if path.startswith("/api/annotations"):
            return self._annotated(method, path.removeprefix("/api/annotations").strip("/"), body)
        return self._made(method, path.removeprefix("/api/"), body)

    def _made(self, method: str, what: str, body: Any) -> Answer:
        kind, _, uid = what.rpartition("/uid/")
        if method == "GET":
            if what == "folders":
                return 200, [{"uid": each["uid"], "title": each["title"]} for each in self.folders]
            return _known({"datasources": self.data_sources, "dashboards": self.dashboards}.get(kind, {}).get(uid))
        if what == "folders":
            self.folders.append({"uid": f"folder{len(self.folders)}", "title": body["title"]})
            return 200, self.folders[-1]
        if what in {"datasources", f"datasources/uid/{body.get('uid')}"}:
            self.data_sources[body["uid"]] = {**body, "id": 7, "readOnly": False}
            return 200, {"message": "Datasource written"}
        return self._saved(body) if what == "dashboards/db" else _known(None)

    @property
    def held(self) -> dict[str, Any]:
        """What it holds, for who asks from outside."""
        return {"dashboards": sorted(self.dashboards), "annotations": self.annotations, "writes": self.writes}

    def _found(self, query: Query) -> list[dict[str, Any]]:
        """Those with all tags that are asked for (with `matchAny` any), the latest first. Without a range of both ends:
        of any time."""
        wanted, any_of_them = query.get("tags", []), query.get("matchAny") == ["true"]
        matching = [each for each in self.annotations if _has(each["tags"], wanted, any_of_them)]
        matching.sort(key=lambda each: (each["timeEnd"], each["time"]), reverse=True)
        return matching[: int(query.get("limit", ["100"])[0])]

    def _annotated(self, method: str, number: str, body: Any) -> Answer:
        body = body or {}
        if len(json.dumps(body.get("tags") or [], separators=(",", ":"))) > LONGEST_TAGS:
            return 500, {"message": "Failed to save annotation", "error": "tags length exceeds the maximum allowed"}
        if method == "POST":
            if not body.get("text"):
                return 400, {"message": "Failed to save annotation"}
            new = {
                "id": max((each["id"] for each in self.annotations), default=0) + 1,
                "time": body["time"],
                "text": body["text"],
                "tags": body["tags"],
            }
            self.annotations.append({**new, "timeEnd": body.get("timeEnd") or body["time"], "dashboardId": 0})
            return 200, {"id": new["id"], "message": "Annotation added"}
        found = next((each for each in self.annotations if str(each["id"]) == number), None)
        if found is None:
            return 404, {"message": "Annotation not found"}
        if method == "DELETE":
            self.annotations.remove(found)
            return 200, {"message": "Annotation deleted"}
        given = {name: body[name] for name in ("time", "timeEnd", "text") if body.get(name)}
        found.update({**given, **({"tags": body["tags"]} if body.get("tags") is not None else {})})
        return 200, {"message": "Annotation patched"}

    def _saved(self, body: Any) -> Answer:
        given, before = body["dashboard"], self.dashboards.get(body["dashboard"]["uid"])
        if before is not None and not body["overwrite"]:
            return 412, {"message": "A dashboard with the same uid already exists", "status": "name-exists"}
        version = before["dashboard"]["version"] + 1 if before else 1
        kept = {**given, "id": len(self.dashboards) + 40, "version": version}
        about = {"folderUid": body["folderUid"], "provisioned": False}
        self.dashboards[given["uid"]] = {"dashboard": kept, "meta": about}
        return 200, {"uid": given["uid"], "status": "success", "version": version}


def _has(tags: list[str], wanted: list[str], any_of_them: bool) -> bool:
    """As Grafana matches: a tag `a:b` is the key a with the value b; one that is asked for without a value matches its
    key with any. Of so many that are asked for so many must match, neither fewer nor more."""
    kept = {tuple(map(str.strip, tag.partition(":")[::2])) for tag in tags}
    asked = [tuple(map(str.strip, tag.partition(":")[::2])) for tag in wanted]
    matching = sum(any(key == k and (not value or value == v) for key, value in asked) for k, v in kept)
    return not asked or (matching > 0 if any_of_them else matching == len(asked))


def _known(what: dict[str, Any] | None) -> Answer:
    return (404, {"message": "Not found"}) if what is None else (200, what)


@contextmanager
def grafana_double(prefix: str = "", address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[GrafanaDouble]:
    """One that listens until the block ends; `prefix`: of its paths, as behind a proxy."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            parts = urlsplit(self.path)
            path = parts.path
            double.asked += 1
            time.sleep(double.delay)
            if double.ends_at is not None and double.asked >= double.ends_at:
                self.close_connection = True
                return
            if path == "/held":
                status, said = 200, double.held
            elif path == "/login":
                status, said = 200, "<html>Log in</html>"
            elif self.headers.get("Authorization", "").removeprefix("Bearer ") not in double.tokens:
                status, said = 401, {"message": "Invalid API key"}
            elif not re.match(rf"{re.escape(prefix)}/api/", path):
                status, said = 404, {"message": "Not found"}
            else:
                status, said = double.answer(self.command, path.removeprefix(prefix), parse_qs(parts.query), body)
            text = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", double.text_type if isinstance(said, str) else "application/json")
            if 300 <= status < 400:
                self.send_header("Location", "/login")
            self.send_header("Content-Length", str(len(text)))
            if double.retry_after is not None and status >= 400:
                self.send_header("Retry-After", double.retry_after)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815  the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Silent."""

    server = ThreadingHTTPServer(address, Handler)
    server.daemon_threads = True
    double = GrafanaDouble(f"http://127.0.0.1:{server.server_port}{prefix}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with grafana_double(address=("0.0.0.0", int(sys.argv[1]))):
        threading.Event().wait()
