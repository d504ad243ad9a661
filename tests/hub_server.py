"""A stand-in for the Hugging Face hub and for the host of its large files, on this machine.

Small files come from the hub; for large ones it redirects to a second host, at signed addresses, which must not see the
token. Faults can be set before a request.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

TOKEN = "hf_of_the_tests"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 20_000  # from this size, files are stored on the second host


@dataclasses.dataclass(kw_only=True)
class Hub:
    """The files that the server has, the requests that it received, and its faults."""

    repositories: dict[str, Path]  # "google/alphagenome-all-folds" → folder
    plain: Path | None = None  # a folder whose files are at /plain/
    accepted: bool = True  # whether the token's account has accepted the terms
    cut_after: list[int] = dataclasses.field(
        default_factory=list
    )  # bytes after which the next transfers break off
    stall_after: int | None = None  # bytes after which a transfer stops without an end
    corrupt: set[str] = dataclasses.field(default_factory=set)  # files whose bytes are changed in transfer
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)  # sizes listed instead of the true ones
    strange_names: list[str] = dataclasses.field(default_factory=list)  # listed with the files
    status: int | None = None  # answer to every request
    page: str | None = None  # HTML answer to every request, like a login page's
    ranges: bool = True  # whether parts of files can be requested
    silent: bool = False  # whether requests are never answered
    requests: list[tuple[str, str, dict[str, str]]] = dataclasses.field(default_factory=list)
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)
    url: str = ""

    def transfers(self) -> list[str]:
        """Return the Range of each request for a large or plain file; "" for all of it."""
        return [
            headers.get("Range", "")
            for _, path, headers in self.requests
            if path.startswith(("/cdn/", "/plain/"))
        ]

    def answer(self, request: Request) -> Response:
        """Record and answer a request."""
        self.requests.append((request.method, request.path, dict(request.headers)))
        if self.silent:
            self.ended.wait()
        if self.status is not None:
            return _refuse(self.status, "as the test says")
        if self.page is not None:
            return Response(self.page, mimetype="text/html")
        match request.path.strip("/").split("/"):
            case ["cdn", digest]:
                return self._large_file(request, digest)
            case ["plain", *names] if self.plain and (path := self.plain.joinpath(*names)).is_file():
                return self._in_parts(request, self._read(path))
            case ["api", "models", owner, name, *_] | [owner, name, "resolve", *_]:
                return self._of_repository(request, f"{owner}/{name}")
        return _refuse(404, "no such page")

    def _of_repository(self, request: Request, repository: str) -> Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _refuse(401, "Invalid credentials in Authorization header")
        if repository not in self.repositories:
            return _refuse(404, "Repository not found", "RepoNotFound")
        if request.path.startswith("/api/"):
            return _json(self._describe(self.repositories[repository], repository))
        if not self.accepted:
            message = f"Access to model {repository} is restricted and you are not in the authorized list."
            return _refuse(403, message, "GatedRepo")
        path = self.repositories[repository] / request.path.partition(f"/resolve/{COMMIT}/")[2]
        if path.stat().st_size < LARGE_BYTES:
            return Response(self._read(path))
        location = f"{self.url.replace('127.0.0.1', 'localhost')}/cdn/{_sha256(path)}?signature=signed"
        return Response(status=302, headers={"Location": location})

    def _describe(self, folder: Path, repository: str) -> dict[str, object]:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = [self._describe_file(path, str(path.relative_to(folder))) for path in paths]
        files += [{"rfilename": name} for name in self.strange_names]
        return {"id": repository, "sha": COMMIT, "gated": "manual", "siblings": files}

    def _describe_file(self, path: Path, name: str) -> dict[str, object]:
        contents = path.read_bytes()
        size = self.sizes.get(name, len(contents))
        digest = hashlib.sha1(f"blob {size}\0".encode() + contents).hexdigest()
        large = {"lfs": {"size": size, "sha256": _sha256(path), "pointerSize": 1}}
        return {"rfilename": name, "size": size, "blobId": digest} | (large if size >= LARGE_BYTES else {})

    def _large_file(self, request: Request, digest: str) -> Response:
        files = itertools.chain(*(folder.rglob("*") for folder in self.repositories.values()))
        path = next(path for path in files if path.is_file() and _sha256(path) == digest)
        if request.args.get("signature") != "signed" or "Authorization" in request.headers:
            return _refuse(400, "not signed, or with a token that is not meant for this host")
        return self._in_parts(request, self._read(path))

    def _in_parts(self, request: Request, contents: bytes) -> Response:
        """Answer with a file or the part of it that is requested, and the faults of transfers."""
        response = Response(contents)
        if self.ranges:
            response.make_conditional(request, accept_ranges=True, complete_length=len(contents))
        body = response.get_data()
        response.headers["Content-Length"] = str(len(body))
        response.response = self._send(body)
        return response

    def _send(self, body: bytes) -> Iterator[bytes]:
        if self.stall_after is not None:
            yield body[: self.stall_after]
            self.ended.wait()
        else:
            yield body[: self.cut_after.pop(0)] if self.cut_after else body

    def _read(self, path: Path) -> bytes:
        contents = path.read_bytes()
        changed = any(path.match(name) for name in self.corrupt)
        return bytes([contents[0] ^ 1]) + contents[1:] if changed else contents


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve until the end of the block; `hub.url` is the endpoint."""
    with HTTPServer(host="127.0.0.1", port=0, threaded=True) as server:
        server.expect_request(re.compile(".*")).respond_with_handler(hub.answer)
        hub.url = server.url_for("").rstrip("/")
        try:
            yield hub
        finally:
            hub.ended.set()


def _refuse(status: int, message: str, code: str = "") -> Response:
    response = _json({"error": message}, status)
    response.headers["X-Error-Message"] = message
    if code:
        response.headers["X-Error-Code"] = code
    return response


def _json(values: dict[str, object], status: int = 200) -> Response:
    return Response(json.dumps(values), status, mimetype="application/json")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
