"""A stand-in for Kaggle on this machine: its API for models, and signed addresses for their files."""

import base64
import contextlib
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

KEY = "key-of-the-tests"


@dataclasses.dataclass(kw_only=True)
class Kaggle:
    """The models that the server has, the transfers that it was asked for, and its faults."""

    models: dict[str, Path]  # "google/alphagenome/JAX/all_folds" → folder
    accepted: bool = True  # whether the account has accepted the terms
    cut_after: list[int] = dataclasses.field(
        default_factory=list
    )  # bytes after which the next transfers break off
    corrupt: set[str] = dataclasses.field(default_factory=set)  # files whose bytes are changed in transfer
    transfers: list[tuple[str, str]] = dataclasses.field(default_factory=list)  # files and Range
    url: str = ""

    def answer(self, request: Request) -> Response:
        """Answer a request to the API or for a file."""
        if request.method == "GET":
            return self._send_file(request)
        query = request.get_json()
        framework = query["framework"].removeprefix("MODEL_FRAMEWORK_")
        model = "/".join((query["ownerSlug"], query["modelSlug"], framework, query["instanceSlug"]))
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _json({"code": 401, "message": "Unauthenticated"}, 401)
        if model not in self.models:
            return _json({"code": 404, "message": "Not found"}, 404)
        if not self.accepted:
            return _json({"code": 403, "message": "Permission denied"}, 403)
        match request.path.rpartition("/")[2]:
            case "GetModelInstance":
                return _json({"slug": query["instanceSlug"], "versionNumber": 1})
            case "ListModelInstanceVersionFiles":
                paths = sorted(path for path in self.models[model].rglob("*") if path.is_file())
                names = [{"name": str(path.relative_to(self.models[model]))} for path in paths]
                return _json({"files": names, "nextPageToken": ""})
        return Response(status=302, headers={"Location": f"{self.url}/signed/{model}/-/{query['path']}"})

    def _send_file(self, request: Request) -> Response:
        model, _, name = request.path.removeprefix("/signed/").partition("/-/")
        self.transfers.append((name, request.headers.get("Range", "")))
        contents = (self.models[model] / name).read_bytes()
        md5 = base64.b64encode(hashlib.md5(contents).digest()).decode()
        if name in self.corrupt:
            contents = bytes([contents[0] ^ 1]) + contents[1:]
        response = Response(contents, headers={"x-goog-hash": f"crc32c=AAAAAA==,md5={md5}"})
        response.make_conditional(request, accept_ranges=True, complete_length=len(contents))
        body = response.get_data()
        if self.cut_after and len(contents) > self.cut_after[0]:
            response.headers["Content-Length"] = str(len(body))
            response.response = [body[: self.cut_after.pop(0)]]
        return response


@contextlib.contextmanager
def serving(kaggle: Kaggle) -> Iterator[Kaggle]:
    """Serve until the end of the block, at `kaggle.url`."""
    with HTTPServer(host="127.0.0.1", port=0, threaded=True) as server:
        server.expect_request(re.compile(".*")).respond_with_handler(kaggle.answer)
        kaggle.url = server.url_for("").rstrip("/")
        yield kaggle


def _json(values: dict[str, object], status: int = 200) -> Response:
    return Response(json.dumps(values), status, mimetype="application/json")
