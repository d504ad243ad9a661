"""A server on this machine that answers like the Hugging Face hub, and like what stores its large files.

Small files come from the hub itself, by way of a redirection; large ones from a second host at signed addresses, which
must not see the token. Faults can be set before a request.
"""

import contextlib
import dataclasses
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

TOKEN = "hf_of_the_tests"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 20_000  # from here on, files are stored apart
_SIGNATURE = "signed"


@dataclasses.dataclass(kw_only=True)
class Hub:
    """What the server serves, what it was asked, and how it shall fail."""

    repositories: dict[str, Path]  # "google/alphagenome-all-folds" → folder
    plain: Path | None = None  # a folder whose files lie below /plain/
    accepted: bool = True  # whether the token's account has accepted the terms
    cut_after: list[int] = dataclasses.field(
        default_factory=list
    )  # bytes after which next transfers break off
    stall_after: int | None = (
        None  # bytes after which a transfer stops, without an end, until the server ends
    )
    corrupt: set[str] = dataclasses.field(default_factory=set)  # files whose bytes are changed on the way
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)  # announced instead of the true ones
    strange_names: list[str] = dataclasses.field(default_factory=list)  # listed beside the files
    status: int | None = None  # answered to everything
    page: str | None = None  # HTML answered to everything, as a login page in between does
    ranges: bool = True  # whether parts of files can be asked for
    silent: bool = False  # whether it accepts connections and then says nothing
    requests: list[tuple[str, str, dict[str, str]]] = dataclasses.field(default_factory=list)
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)
    url: str = ""

    def transfers(self) -> list[str]:
        """The Range of each request for the contents of a large file; "" for all of it."""
        return [
            headers.get("Range", "")
            for method, path, headers in self.requests
            if method == "GET" and path.startswith("/cdn/")
        ]

    def files(self, repository: str) -> list[str]:
        """Names of a repository's files."""
        folder = self.repositories[repository]
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    def stored(self, digest: str) -> Path | None:
        """The large file with a hash."""
        for folder in self.repositories.values():
            for path in folder.rglob("*"):
                if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
                    return path
        return None


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serves until the end of the block; `hub.url` is the endpoint."""

    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = hub
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    hub: Hub


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""

    def _answer(self) -> None:
        headers = {name.title(): value for name, value in self.headers.items()}
        self.hub.requests.append((self.command, self.path, headers))
        with contextlib.suppress(ConnectionError):
            if self.hub.silent:
                self.close_connection = True
                self.rfile.read(1)
            elif self.hub.status is not None:
                self._refuse(self.hub.status, "", "as the test says")
            elif self.hub.page is not None:
                self._send(200, {"Content-Type": "text/html"}, self.hub.page.encode())
            else:
                self._route()

    def _route(self) -> None:
        path = urlsplit(self.path).path
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/\w+)?", path):
            self._with_repository(match[1], self._describe)
        elif match := re.fullmatch(rf"/([^/]+/[^/]+)/resolve/{COMMIT}/(.+)", path):
            self._with_repository(match[1], lambda repository: self._resolve(repository, match[2]))
        elif match := re.fullmatch(rf"/api/resolve-cache/models/([^/]+/[^/]+)/{COMMIT}/(.+)", path):
            self._with_repository(match[1], lambda repository: self._small_file(repository, match[2]))
        elif match := re.fullmatch(r"/cdn/(\w+)", path):
            self._large_file(match[1])
        elif (path := self._plain_path(path)) is not None:
            contents = path.read_bytes()
            self._send(200, {}, _flip(contents) if path.name in self.hub.corrupt else contents)
        else:
            self._refuse(404, "", "no such page")

    def _plain_path(self, path: str) -> Path | None:
        found = self.hub.plain and self.hub.plain / path.removeprefix("/plain/")
        return found if found and found.is_file() else None

    def _with_repository(self, repository: str, answer) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif repository not in self.hub.repositories:
            self._refuse(404, "RepoNotFound", "Repository not found")
        else:
            answer(repository)

    def _describe(self, repository: str) -> None:
        names = [*self.hub.files(repository), *self.hub.strange_names]
        siblings = [{"rfilename": name} for name in names]
        body = {"id": repository, "sha": COMMIT, "gated": "manual", "siblings": siblings}
        self._send(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _resolve(self, repository: str, name: str) -> None:
        """Where a file lies; what a request for its headers asks."""
        if not self.hub.accepted:
            message = f"Access to model {repository} is restricted and you are not in the authorized list."
            self._refuse(403, "GatedRepo", message)
            return
        contents = (self.hub.repositories[repository] / name).read_bytes()
        digest = hashlib.sha256(contents).hexdigest()
        headers = {"X-Repo-Commit": COMMIT, "X-Linked-Size": str(self.hub.sizes.get(name, len(contents)))}
        if len(contents) >= LARGE_BYTES:
            port = self.server.server_port
            location = f"http://localhost:{port}/cdn/{digest}?signature={_SIGNATURE}"
            self._send(302, headers | {"X-Linked-ETag": f'"{digest}"', "Location": location})
        else:
            location = f"/api/resolve-cache/models/{repository}/{COMMIT}/{name}"
            self._send(307, headers | {"X-Linked-ETag": f'"{_git_hash(contents)}"', "Location": location})

    def _small_file(self, repository: str, name: str) -> None:
        contents = (self.hub.repositories[repository] / name).read_bytes()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_git_hash(contents)}"'}
        self._send(200, headers, _flip(contents) if name in self.hub.corrupt else contents)

    def _large_file(self, digest: str) -> None:
        path = self.hub.stored(digest)
        signature = parse_qs(urlsplit(self.path).query).get("signature")
        if path is None or signature != [_SIGNATURE] or "Authorization" in self.headers:
            self._refuse(400, "", "not signed, or with a token that is not meant for this host")
            return
        contents = path.read_bytes()
        if any(path.match(name) for name in self.hub.corrupt):
            contents = _flip(contents)
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not match or not self.hub.ranges:
            self._send(200, {}, contents, breaks_off=True)
        elif int(match[1]) >= len(contents):
            self._refuse(416, "", "Range Not Satisfiable")
        else:
            start = int(match[1])
            span = f"bytes {start}-{len(contents) - 1}/{len(contents)}"
            self._send(206, {"Content-Range": span}, contents[start:], breaks_off=True)

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        body = json.dumps({"error": message}).encode()
        self._send(status, headers | {"Content-Type": "application/json"}, body)

    def _send(
        self, status: int, headers: dict[str, str], body: bytes = b"", *, breaks_off: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.hub.cut_after.pop(0) if breaks_off and self.hub.cut_after else len(body)
        if breaks_off and self.hub.stall_after is not None:
            self.wfile.write(body[: self.hub.stall_after])
            self.hub.ended.wait()
        else:
            self.wfile.write(body[:cut])


def _git_hash(contents: bytes) -> str:
    return hashlib.sha1(f"blob {len(contents)}\0".encode() + contents).hexdigest()


def _flip(contents: bytes) -> bytes:
    return bytes([contents[0] ^ 1]) + contents[1:]
