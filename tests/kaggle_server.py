"""A server on this machine that answers like Kaggle: its API for models, and signed addresses for their files."""

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

KEY = "key-of-the-tests"


@dataclasses.dataclass(kw_only=True)
class Kaggle:
    """What the server serves, what it was asked, and how it shall fail."""

    models: dict[str, Path]  # "google/alphagenome/JAX/all_folds" → folder
    accepted: bool = True  # whether the account has accepted the terms
    cut_after: list[int] = dataclasses.field(
        default_factory=list
    )  # bytes after which next transfers break off
    corrupt: set[str] = dataclasses.field(default_factory=set)  # files whose bytes are changed on the way
    transfers: list[tuple[str, str]] = dataclasses.field(default_factory=list)  # files asked for, and Range
    url: str = ""


@contextlib.contextmanager
def serving(kaggle: Kaggle) -> Iterator[Kaggle]:
    """Serves until the end of the block, at `kaggle.url`."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.kaggle = kaggle
    kaggle.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kaggle
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    kaggle: Kaggle


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        framework = asked["framework"].removeprefix("MODEL_FRAMEWORK_")
        model = "/".join((asked["ownerSlug"], asked["modelSlug"], framework, asked["instanceSlug"]))
        method = self.path.rpartition("/")[2]
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self._send_json(401, {"code": 401, "message": "Unauthenticated"})
        elif model not in self.server.kaggle.models:
            self._send_json(404, {"code": 404, "message": "Not found"})
        elif not self.server.kaggle.accepted:
            self._send_json(403, {"code": 403, "message": "Permission denied"})
        elif method == "GetModelInstance":
            self._send_json(200, {"slug": asked["instanceSlug"], "versionNumber": 1})
        elif method == "ListModelInstanceVersionFiles":
            folder = self.server.kaggle.models[model]
            names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
            self._send_json(200, {"files": [{"name": name} for name in names], "nextPageToken": ""})
        else:
            self._send(302, {"Location": f"{self.server.kaggle.url}/signed/{model}//{asked['path']}"})

    def do_GET(self) -> None:
        kaggle = self.server.kaggle
        model, _, name = self.path.removeprefix("/signed/").partition("//")
        contents = (kaggle.models[model] / name).read_bytes()
        kaggle.transfers.append((name, self.headers.get("Range", "")))
        md5 = base64.b64encode(hashlib.md5(contents).digest()).decode()
        headers = {"x-goog-hash": f"crc32c=AAAAAA==,md5={md5}", "Accept-Ranges": "bytes"}
        if name in kaggle.corrupt:
            contents = bytes([contents[0] ^ 1]) + contents[1:]
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        cut = kaggle.cut_after.pop(0) if kaggle.cut_after and len(contents) > kaggle.cut_after[0] else None
        self._send(206 if match else 200, headers, contents[start:], cut)

    def _send_json(self, status: int, values: dict[str, object]) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(values).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"", cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])
