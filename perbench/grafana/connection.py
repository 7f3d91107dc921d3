"""A Grafana over HTTP. A rim.

The extra `grafana` brings grafana-client, and that brings urllib3-future, which takes the place of urllib3 in the whole
environment. So nothing else imports this, and the extra is best installed apart.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException
from niquests.exceptions import InvalidJSONError, InvalidSchema, InvalidURL, RequestException, TooManyRedirects

from perbench.failures import UsageError, shorten
from perbench.grafana.annotations import Kept, Write
from perbench.grafana.changes import Json, Stored
from perbench.grafana.orders import ProblemKind, retry_after
from perbench.grafana.tell import GrafanaError

TIMEOUT_SECONDS = 30
NOT_FOUND, UNAUTHORIZED, FORBIDDEN, TOO_MANY, INTERNAL = 404, 401, 403, 429, 500
NO_ANSWER = 0
"""What the client gives as status where a request took too long."""
FOUND_AT_MOST = 1000
"""Annotations of one run id: one for each time that it was measured, of all benchmarks that say the same."""
NO_GRAFANA = (InvalidJSONError, InvalidSchema, InvalidURL, TooManyRedirects)
"""Of the client's errors those after which trying again does not help: what answers is something else."""


class HttpGrafana:
    """The Grafana at an address, as whoever has the token. Every method raises GrafanaError."""

    def __init__(self, url: str, token: str, timeout: float = TIMEOUT_SECONDS) -> None:
        """`timeout`: of one request, in seconds. UsageError: it is no address."""
        parts = urlsplit(url)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.query
            or parts.fragment
            or parts.username
        ):
            raise UsageError(f"--url {url}: give Grafana's address, such as https://grafana.example.org")
        self._url = url.rstrip("/")
        # The client puts its path behind the address as it is.
        self._api = GrafanaApi.from_url(self._url + "/", token, timeout=timeout)
        self._retry_after: str | None = None
        """What the last answer said of when to come back: the client's exceptions do not have it."""
        self._api.client.s.hooks["response"] = [self._answered]

    def folders(self) -> Mapping[str, str]:
        """The uids of the folders at the top, by title."""
        with self._told("list folders"):
            return {str(each["title"]): str(each["uid"]) for each in self._api.folder.get_all_folders()}

    def create_folder(self, title: str) -> str:
        """The uid of a new folder."""
        return str(self._written(f"create folder {title}", "uid", lambda: self._api.folder.create_folder(title)))

    def data_source(self, uid: str) -> Json | None:
        """A data source; None: there is none."""
        ask = self._api.datasource.get_datasource_by_uid
        found: Json | None = self._found(f"read data source {uid}", lambda: ask(uid))
        return found

    def create_data_source(self, body: Json) -> None:
        """Make one."""
        create = self._api.datasource.create_datasource
        self._written(f"create data source {body['name']}", "message", lambda: create(dict(body)))

    def update_data_source(self, uid: str, body: Json) -> None:
        """Replace one."""
        update = self._api.datasource.update_datasource_by_uid
        self._written(f"update data source {body['name']}", "message", lambda: update(uid, dict(body)))

    def dashboard(self, uid: str) -> Stored | None:
        """A dashboard; None: there is none."""
        doing = f"read dashboard {uid}"
        found = self._found(doing, lambda: self._api.dashboard.get_dashboard(uid))
        if found is None:
            return None
        with self._told(doing):
            about = found["meta"]
            return Stored(dict(found["dashboard"]), str(about.get("folderUid") or ""), bool(about.get("provisioned")))

    def save_dashboard(self, body: Json, folder: str) -> None:
        """Make or replace one."""
        whole = {"dashboard": dict(body), "folderUid": folder, "overwrite": True, "message": "perbench grafana push"}
        self._written(f"write dashboard {body['title']}", "uid", lambda: self._api.dashboard.update_dashboard(whole))

    def annotations(self, tags: Sequence[str]) -> Sequence[Kept]:
        """Those that have all of these tags, of any time."""
        with self._told("find annotations"):
            found = self._api.annotations.find_annotations(ann_type="annotation", tags=tags, limit=FOUND_AT_MOST)
            return [_kept(each) for each in found]

    def create_annotation(self, new: Write) -> None:
        """Make one."""
        add, tags = self._api.annotations.add_annotation, list(new.tags)
        self._written(
            "create an annotation",
            "id",
            lambda: add(time_from=new.time, time_to=new.time_end, tags=tags, text=new.text),
        )

    def update_annotation(self, number: int, changed: Write) -> None:
        """Change one."""
        change, tags, text = self._api.annotations.partial_update_annotation, list(changed.tags), changed.text
        self._written(
            "change an annotation",
            "message",
            lambda: change(number, time_from=changed.time, time_to=changed.time_end, tags=tags, text=text),
        )

    def delete_annotation(self, number: int) -> None:
        """Take one away."""
        delete = self._api.annotations.delete_annotations_by_id
        self._written("delete an annotation", "message", lambda: delete(number))

    def _written(self, doing: str, key: str, write: Callable[[], Any]) -> Any:  # noqa: ANN401  as Grafana answers
        """Write something. What Grafana says of it under `key`: an answer that has no such thing is not Grafana's, and
        nothing was written."""
        with self._told(doing):
            answer = write()
            if not isinstance(answer, dict) or key not in answer:
                raise ValueError(f"the answer is no JSON object with {key}")
            return answer[key]

    def _found(self, doing: str, ask: Callable[[], Any]) -> Any:  # noqa: ANN401  as Grafana answers
        """What is there; None: Grafana has no such thing."""
        with self._told(doing):
            try:
                return ask()
            except GrafanaClientError as error:
                if error.status_code != NOT_FOUND:
                    raise
                return None

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """What goes wrong, in one line that is the same every time the same thing goes wrong."""
        self._retry_after = None
        try:
            yield
        except GrafanaException as error:
            raise self._error(doing, error) from error
        except RequestException as error:
            kind = ProblemKind.REFUSED if isinstance(error, NO_GRAFANA) else ProblemKind.UNREACHABLE
            raise GrafanaError(self._silent(doing, error), kind, of_everything=True) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise GrafanaError(self._silent(doing, error), ProblemKind.REFUSED, of_everything=True) from error

    def _error(self, doing: str, error: GrafanaException) -> GrafanaError:
        status = error.status_code
        if status in {UNAUTHORIZED, FORBIDDEN}:
            return GrafanaError(
                f"{self._url} does not let this token {doing}: give that of a service account with the role "
                "Editor; with --prometheus-url, Admin",
                ProblemKind.REFUSED,
                of_everything=True,
            )
        passing = status in {NO_ANSWER, TOO_MANY} or status >= INTERNAL
        wait = retry_after(self._retry_after, datetime.now(UTC)) if passing else None
        return GrafanaError(
            f"{self._url} cannot {doing}: {_said(error)}",
            ProblemKind.UNREACHABLE if passing else ProblemKind.REFUSED,
            # An error of its own may be about what it was asked; being away or busy is not.
            of_everything=passing and (status != INTERNAL or wait is not None),
            retry_after=wait,
        )

    def _silent(self, doing: str, error: Exception) -> str:
        return (
            f"{self._url} does not answer as Grafana does when asked to {doing} ({_cause(error)}): is it Grafana's "
            "address?"
        )

    def _answered(self, response: Any, **_: object) -> None:  # noqa: ANN401  as the client's library has it
        self._retry_after = response.headers.get("Retry-After")
        if response.is_redirect and response.request.method != "GET":
            # The client would follow with a GET, which writes nothing, and take the answer for that of the write.
            raise ValueError(f"it redirects what is to be written, with {response.status_code}")


def _kept(found: Json) -> Kept:
    """Tags that nobody gave are null."""
    time = int(found["time"])
    return Kept(
        int(found["id"]), time, int(found.get("timeEnd") or time), str(found["text"]), (*(found["tags"] or ()),)
    )


def _said(error: GrafanaException) -> str:
    """The client's words around Grafana's message. A page, as proxies have it, and the ids of traces are left out."""
    if error.status_code == NO_ANSWER:
        return _cause(error)
    whose = "Server" if error.status_code >= INTERNAL else "Client"
    message = error.response.get("message") if isinstance(error.response, dict) else None
    return _line(f"{whose} Error {error.status_code}" + (f": {message}" if message else ""))


def _cause(error: BaseException) -> str:
    """Where it began, as the system says it: the client's own words around that have addresses of memory in them."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return _line((error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__)


def _line(text: str) -> str:
    return shorten(" ".join(text.split()), 300)
