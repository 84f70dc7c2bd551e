"""A small Hugging Face Hub on this machine: enough of its HTTP interface for the real client, and faults on demand.

Repositories have commits and branches; those of datasets are known as ``datasets/owner/name``. Files that the Hub keeps
apart from git (weights, archives) are redirected to another origin, as there: ``localhost`` stands for the content
network, which must never see a token.
"""

import base64
import hashlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from hub.names import git_hash

TOKEN = "hf_testTokenThatNobodyMaySee"  # noqa: S105
FaultKind = Literal["status", "hang up", "drop", "lose the answer", "wrong bytes", "wait"]


@dataclass(frozen=True)
class Blob:
    """A file of a commit."""

    content: bytes
    is_large: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass
class Repository:
    """Commits by hash, from path to file; and branches."""

    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    made: int = 0
    is_private: bool = False
    is_gated: bool = False

    def add(self, files: dict[str, Blob], message: str, branch: str = "main") -> str:
        """Makes a commit and returns its hash."""
        name = f"{self.made} {message} {sorted((path, blob.sha256) for path, blob in files.items())}"
        self.made += 1
        commit = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
        self.commits[commit] = files
        self.branches[branch] = commit
        self.messages.append(message)
        if branch == "main":
            self.history.append(commit)
        return commit

    def squash(self, message: str) -> None:
        """Makes one commit of all, and forgets what was before."""
        files = self.files
        for forgotten in (self.commits, self.messages, self.history):
            forgotten.clear()
        self.add(files, message)

    @property
    def files(self) -> dict[str, Blob]:
        """What the main branch holds."""
        return self.commits[self.branches["main"]]


@dataclass
class Fault:
    """What goes wrong with the next requests that match."""

    kind: FaultKind
    pattern: str
    times: int
    number: int = 0


@dataclass(frozen=True)
class Seen:
    """A request that came in."""

    method: str
    path: str
    host: str
    token: str | None
    byte_range: str | None


class Hub:
    """The state of the server."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self.chance: Callable[[str, str], Fault | None] | None = None
        self.commits_left: int | None = None
        self.titles: list[str] = []
        self.stale_commits = 0
        self.retry_after = 1
        self.page = 1000
        self.lock = threading.RLock()
        self.before_commit: Callable[[], object] | None = None
        self.after_commit: Callable[[], object] | None = None
        self.ignored: set[str] = set()
        self.announced: list[str] = []
        self.address = ""
        self.content_address = ""

    def make(self, repo: str, files: dict[str, bytes] | None = None, *, is_private: bool = False) -> str:
        """Makes a repository, as the Hub does with a first commit, and returns that commit."""
        repository = self.repositories[repo] = Repository(is_private=is_private)
        start = {".gitattributes": Blob(b"*.safetensors filter=lfs\n*.zip filter=lfs\n", is_large=False)}
        commit = repository.add(start, "initial commit")
        return commit if files is None else self.put(repo, files)

    def put(self, repo: str, files: dict[str, bytes]) -> str:
        """Commits files from outside and returns the commit."""
        repository = self.repositories[repo]
        new = {path: Blob(content, is_large=_is_large(path)) for path, content in files.items()}
        self.large |= {blob.sha256: blob.content for blob in new.values() if blob.is_large}
        return repository.add({**repository.files, **new}, "from outside")

    def fail(self, kind: FaultKind, pattern: str, *, times: int = 1, number: int = 0) -> None:
        """Lets requests fail whose method and path match, such as ``GET .*/zoo.json``.

        Args:
            kind: An answer with a status; the connection closed without doing anything; the connection dropped after
                some bytes of the content; the request carried out but not answered; other bytes, by that many fewer;
                or an answer that is late.
            pattern: A regular expression for the whole of method and path.
            times: How many requests fail.
            number: The status, the bytes, or the milliseconds.
        """
        self.faults.append(Fault(kind, pattern, times, number))

    def fault(self, method: str, path: str) -> Fault | None:
        """Returns the fault of a request, and counts it."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and re.fullmatch(fault.pattern, f"{method} {path}"):
                    fault.times -= 1
                    return fault
        return None if self.chance is None else self.chance(method, path)

    def asked(self, pattern: str) -> list[Seen]:
        """Returns the requests whose method and path match."""
        return [one for one in self.seen if re.fullmatch(pattern, f"{one.method} {one.path}")]


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serves a Hub for as long as the context lasts."""
    hub = Hub()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    port = server.server_address[1]
    hub.address, hub.content_address = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _is_large(path: str) -> bool:
    return path.endswith((".safetensors", ".zip"))


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stays silent when a client has gone, or was killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "", retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after


class _Handler(BaseHTTPRequestHandler):
    """One connection; the routes are at the end."""

    hub: Hub
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for headers and body; otherwise each small answer waits for an acknowledgement

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stays silent."""

    def _serve(self) -> None:
        body = self._body()
        url = urlsplit(self.path)
        path, host = unquote(url.path), self.headers["Host"].split(":")[0]
        token = self.headers.get("Authorization")
        self.hub.seen.append(Seen(self.command, path, host, token, self.headers.get("Range")))
        fault = self.hub.fault(self.command, path)
        if fault and fault.kind == "wait":
            sleep(fault.number / 1000)
        if fault and fault.kind == "hang up":
            self.close_connection = True
            return
        if fault and fault.kind == "status":
            self._answer(fault.number, b"out of order")
            return
        try:
            with self.hub.lock:
                status, headers, content = self._route(path, parse_qs(url.query), body)
        except _RefusedError as refused:
            headers = {"X-Error-Code": refused.code, "X-Error-Message": refused.message}
            if refused.retry_after is not None:
                headers["Retry-After"] = str(refused.retry_after)
            status, content = refused.status, refused.message.encode()
        if fault and fault.kind == "lose the answer":
            self.close_connection = True
            return
        if fault and fault.kind == "wrong bytes":
            content = bytes([content[0] ^ 1]) + content[1 : len(content) - fault.number]
        self._answer(status, content, headers, fault.number if fault and fault.kind == "drop" else None)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(
        self, status: int, content: bytes, headers: dict[str, str] | None = None, keep: int | None = None
    ) -> None:
        """Sends an answer, or only the first bytes of its content before the connection is dropped."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if keep is None else content[:keep])
        self.wfile.flush()
        if keep is not None:
            self.close_connection = True

    def _route(self, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, dict[str, str], bytes]:
        for method, pattern, serve in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and self.command in method:
                return serve(self, found.groupdict(), query, body)
        raise _RefusedError(404, message=f"no route for {self.command} {path}")

    def _repository(self, part: dict[str, str], *, to_write: bool = False) -> Repository:
        name = _key(part)
        repository = self.hub.repositories.get(name)
        is_known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repository is None or (repository.is_private and not is_known):
            raise _RefusedError(404 if is_known else 401, "RepoNotFound", "Repository not found")
        if repository.is_gated and not is_known:
            raise _RefusedError(403, "GatedRepo", "Access is restricted")
        if to_write and not is_known:
            raise _RefusedError(403, message="no right to write")
        return repository

    def _commit_of(self, repository: Repository, revision: str) -> str:
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit


def _key(part: dict[str, str]) -> str:
    """Returns the name that a repository is known by here."""
    return f"datasets/{part['repo']}" if "datasets" in (part.get("kind") or "") else part["repo"]


def _reply(value: object, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode()


def _resolve(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    repository = at._repository(part)
    commit = at._commit_of(repository, part["revision"])
    headers = {"X-Repo-Commit": commit}
    blob = repository.commits[commit].get(part["path"])
    if blob is None:
        raise _RefusedError(404, "EntryNotFound", "Entry not found")
    if not blob.is_large:
        return 200, {**headers, "ETag": f'"{git_hash(blob.content)}"'}, blob.content
    linked = {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(len(blob.content))}
    return 302, {**headers, **linked, "Location": f"{at.hub.content_address}/content/{blob.sha256}"}, b""


def _content(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    content = at.hub.large[part["oid"]]
    start = re.fullmatch(r"bytes=(\d+)-", at.headers.get("Range") or "")
    if start is None:
        return 200, {"Accept-Ranges": "bytes"}, content
    first = int(start[1])
    return 206, {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}, content[first:]


def _info(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    repository = at._repository(part)
    commit = at._commit_of(repository, part.get("revision") or "main")
    siblings = [{"rfilename": path} for path in repository.commits[commit]]
    return _reply({"id": part["repo"], "modelId": part["repo"], "sha": commit, "siblings": siblings, "tags": []})


def _tree(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    repository = at._repository(part)
    files = repository.commits[at._commit_of(repository, part["revision"])]
    folders = {path.rsplit("/", 1)[0] for path in files if "/" in path}
    entries: list[dict[str, Any]] = [
        {"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders
    ]
    entries += [_entry(path, blob) for path, blob in files.items()]
    start = int(query.get("cursor", ["0"])[0])
    end = start + at.hub.page
    address = f"{at.hub.address}{urlsplit(at.path).path}?recursive=true&cursor={end}"
    more = {"Link": f'<{address}>; rel="next"'} if end < len(entries) else {}
    return _reply(entries[start:end], more)


def _entry(path: str, blob: Blob) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(blob.content), "oid": git_hash(blob.content)}
    if blob.is_large:
        pointer = f"oid sha256:{blob.sha256}".encode()
        lfs = {"oid": blob.sha256, "size": len(blob.content), "pointerSize": len(pointer)}
        entry |= {"oid": git_hash(pointer), "lfs": lfs}
    return entry


def _paths_info(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    repository = at._repository(part)
    files = repository.commits[at._commit_of(repository, part["revision"])]
    is_json = "json" in (at.headers.get("Content-Type") or "")
    paths = json.loads(body)["paths"] if is_json else parse_qs(body.decode())["paths"]
    return _reply([_entry(path, files[path]) for path in paths if path in files])


def _commits(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    repository = at._repository(part)
    entries = zip(repository.history, repository.messages, strict=True)
    date = "2026-11-01T00:00:00.000Z"
    rows = [{"id": one, "title": title, "message": "", "authors": [], "date": date} for one, title in entries]
    return _reply(rows[::-1])


def _squash(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    repository = at._repository(part, to_write=True)
    at._commit_of(repository, part["revision"])
    repository.squash(json.loads(body)["message"])
    return _reply({})


def _create(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    wanted = json.loads(body)
    kind = "datasets/" if wanted.get("type") == "dataset" else ""
    repo = f"{kind}{wanted['organization']}/{wanted['name']}"
    if at.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise _RefusedError(401, message="please log in")
    if repo in at.hub.repositories:
        raise _RefusedError(409, message="You already created this repo")
    at.hub.make(repo, is_private=wanted.get("visibility") == "private")
    return _reply({"url": f"{at.hub.address}/{repo}"})


def _preupload(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    repository = at._repository(part, to_write=True)
    files = repository.commits[at._commit_of(repository, part["revision"])]
    answers: list[dict[str, Any]] = []
    for wanted in json.loads(body)["files"]:
        blob = files.get(wanted["path"])
        oid = None if blob is None else blob.sha256 if blob.is_large else git_hash(blob.content)
        mode = "lfs" if _is_large(wanted["path"]) else "regular"
        at.hub.announced.append(wanted["path"])
        answers.append(
            {"path": wanted["path"], "uploadMode": mode, "shouldIgnore": wanted["path"] in at.hub.ignored, "oid": oid}
        )
    return _reply({"files": answers})


def _batch(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    at._repository(part, to_write=True)
    answers: list[dict[str, Any]] = []
    for wanted in json.loads(body)["objects"]:
        answer = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] not in at.hub.large:
            answer["actions"] = {"upload": {"href": f"{at.hub.content_address}/upload/{wanted['oid']}"}}
        answers.append(answer)
    return _reply({"transfer": "basic", "objects": answers})


def _upload(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    if hashlib.sha256(body).hexdigest() != part["oid"]:
        raise _RefusedError(400, message="these are other bytes")
    at.hub.large[part["oid"]] = body
    return 200, {}, b""


def _commit(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    repository = at._repository(part, to_write=True)
    if at.hub.before_commit is not None:
        at.hub.before_commit()
        at.hub.before_commit = None
    if at.hub.commits_left is not None:
        if at.hub.commits_left == 0:
            raise _RefusedError(429, message="You have exceeded the rate of commits", retry_after=at.hub.retry_after)
        at.hub.commits_left -= 1
    lines = [json.loads(line) for line in body.splitlines()]
    header = lines[0]["value"]
    if header.get("parentCommit") not in (None, repository.branches[part["revision"]]):
        at.hub.stale_commits += 1
        raise _RefusedError(412, message="A commit has happened since. Please refresh and try again.")
    files = dict(repository.commits[repository.branches[part["revision"]]])
    for line in lines[1:]:
        value = line["value"]
        match line["key"]:
            case "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]), is_large=False)
            case "lfsFile":
                files[value["path"]] = Blob(at.hub.large[value["oid"]], is_large=True)
            case "deletedFile":
                if value["path"] not in files:
                    raise _RefusedError(404, "EntryNotFound", "A file with this name doesn't exist")
                del files[value["path"]]
    commit = repository.add(files, header["summary"], part["revision"])
    at.hub.titles.append(header["summary"])
    if at.hub.after_commit is not None:
        at.hub.after_commit()
    return _reply({"commitUrl": f"{at.hub.address}/{part['repo']}/commit/{commit}", "commitOid": commit})


def _validate(at: _Handler, part: dict[str, str], query: dict[str, list[str]], body: bytes) -> Any:
    return _reply({"errors": [], "warnings": []})


_REPO = r"(?P<repo>[^/]+/[^/]+)"
_API = rf"/api/(?P<kind>models|datasets)/{_REPO}"
_ROUTES = (
    (("GET", "HEAD"), rf"/(?P<kind>datasets/)?{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _resolve),
    (("GET", "HEAD"), r"/content/(?P<oid>\w+)", _content),
    (("GET",), rf"{_API}(/revision/(?P<revision>[^/]+))?", _info),
    (("GET",), rf"{_API}/tree/(?P<revision>[^/]+)", _tree),
    (("POST",), rf"{_API}/paths-info/(?P<revision>[^/]+)", _paths_info),
    (("GET",), rf"{_API}/commits/(?P<revision>[^/]+)", _commits),
    (("POST",), rf"{_API}/super-squash/(?P<revision>[^/]+)", _squash),
    (("POST",), r"/api/repos/create", _create),
    (("POST",), rf"{_API}/preupload/(?P<revision>[^/]+)", _preupload),
    (("POST",), rf"/(?P<kind>datasets/)?{_REPO}\.git/info/lfs/objects/batch", _batch),
    (("PUT",), r"/upload/(?P<oid>\w+)", _upload),
    (("POST",), rf"{_API}/commit/(?P<revision>[^/]+)", _commit),
    (("POST",), r"/api/validate-yaml", _validate),
)
