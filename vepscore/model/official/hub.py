"""The official checkpoints and their track metadata, where they are published.

The weights lie on the Hugging Face hub, for accounts that have accepted the model terms; the metadata lies in the
repository of the official code.
"""

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import Request

from vepscore.errors import CheckpointError
from vepscore.model.official.downloads import (
    RemoteFile,
    check_space,
    download,
    make_request,
    refused,
    unreachable,
)

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata
    from huggingface_hub.errors import HfHubHTTPError

CHECKPOINTS = ("alphagenome-all-folds", *(f"alphagenome-fold-{fold}" for fold in range(4)))
TERMS_URL = "https://deepmind.google.com/science/alphagenome/model-terms"
EXTRA_HINT = "pip install 'vepscore[fetch]'"
METADATA_VARIABLE = "VEPSCORE_METADATA_URL"
_METADATA_URL = (
    "https://raw.githubusercontent.com/google-deepmind/alphagenome_research/3f79219086685598d13b41c5d39e112f76dc8216"
    "/src/alphagenome_research/model/metadata"
)
METADATA_FILES = {
    "human": RemoteFile(
        name="OutputMetadataResponse_ORGANISM_HOMO_SAPIENS.textproto",
        size=2_637_391,
        sha256="413b4063096bbf7a75a7fdf5560030f8e3866c6af2455fb313e58686ae3d49e8",
    ),
    "mouse": RemoteFile(
        name="OutputMetadataResponse_ORGANISM_MUS_MUSCULUS.textproto",
        size=824_428,
        sha256="a22eb7b2e435ed5d34325eb2ffc575679adc1fc6d91958f8c3bf4c7c8a55a929",
    ),
}
_HUGGING_FACE = "https://huggingface.co"
_OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_HTTP_LIBRARIES = (
    "httpx",
    "httpx2",
    "requests",
)  # of several versions of huggingface_hub; no common exceptions
_ETAG_SHA256, _ETAG_GIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")

Observe = Callable[[int, int], None]  # bytes at hand, bytes in all


def check_online() -> None:
    """Raises where the environment forbids the network.

    Raises:
        CheckpointError: $HF_HUB_OFFLINE, or $TRANSFORMERS_OFFLINE, is set.
    """
    for name in _OFFLINE_VARIABLES:
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise CheckpointError(
                f"{name} is set, so nothing is fetched",
                hint=f"unset {name} where there is a network; an imported checkpoint needs none",
            )


def fetch_metadata(folder: Path) -> dict[str, Path]:
    """Downloads the track metadata of each organism into `folder`, from $VEPSCORE_METADATA_URL where it is set.

    Raises:
        CheckpointError: as in `download`.
    """
    base = (os.environ.get(METADATA_VARIABLE) or _METADATA_URL).rstrip("/")
    try:
        return {
            organism: download(remote, folder, functools.partial(make_request, f"{base}/{remote.name}"))
            for organism, remote in METADATA_FILES.items()
        }
    except CheckpointError as error:
        others = f"give the track metadata with --metadata, or set {METADATA_VARIABLE} to a mirror"
        hint = f"{error.hint}; or {others}" if error.hint else others
        raise CheckpointError(error.message, hint=hint) from error


def fetch_from_huggingface(
    name: str, folder: Path, *, observe: Observe = lambda done, total: None, endpoint: str | None = None
) -> Path:
    """Downloads an official checkpoint with the user's token.

    Args:
        name: one of CHECKPOINTS.
        folder: where to; what an earlier call left there is used.
        observe: is told the bytes at hand and in all.
        endpoint: address of the hub; $HF_ENDPOINT or the public hub when None.

    Returns:
        The checkpoint's folder, below `folder`.

    Raises:
        CheckpointError: the library or the token is missing, the terms were not accepted on the hub, the hub cannot
            be reached, the disk is full, or a file is not what its hash says.
    """
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise CheckpointError(
            f"huggingface_hub is not installed, or broken: {error}", hint=EXTRA_HINT
        ) from error
    repository = _Repository(name, endpoint or constants.ENDPOINT, constants.HF_HUB_ETAG_TIMEOUT)
    commit, names = repository.list_files()
    target = folder / commit
    target.mkdir(parents=True, exist_ok=True)
    remotes = [repository.describe(commit, name) for name in names]
    check_space(target, remotes)
    sizes = dict.fromkeys(names, 0)
    total = sum(remote.size or 0 for remote in remotes)

    def observe_file(name: str, size: int) -> None:
        sizes[name] = size
        observe(sum(sizes.values()), total)

    for remote in remotes:
        download(
            remote,
            target,
            functools.partial(repository.request, commit, remote.name),
            timeout_s=constants.HF_HUB_DOWNLOAD_TIMEOUT,
            observe=functools.partial(observe_file, remote.name),
        )
    return target


class _Repository:
    """A repository on the hub, asked with the user's token."""

    def __init__(self, name: str, endpoint: str, timeout_s: float) -> None:
        import huggingface_hub

        self._id = f"google/{name}"
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._token = huggingface_hub.get_token()
        if self._token is None:
            raise CheckpointError(f"{self._id}: no Hugging Face token", hint=_token_hint(endpoint))

    def list_files(self) -> tuple[str, list[str]]:
        """The newest commit, and the names of its files."""
        from huggingface_hub import HfApi

        with self._explained():
            api = HfApi(endpoint=self._endpoint, token=self._token)
            info = api.model_info(self._id, timeout=self._timeout_s)
        names = [sibling.rfilename for sibling in info.siblings or ()]
        strange = [name for name in [info.sha or "..", *names] if not _is_inside(name)]
        if strange or not names:
            raise CheckpointError(f"{self._id}: not a listing of files\nfound {strange or names}")
        return info.sha, names

    def describe(self, commit: str, name: str) -> RemoteFile:
        """Size and hash of a file: the hub's ETag is the sha256 of a large file, git's own hash of a small one."""
        metadata = self._locate(commit, name)
        etag = metadata.etag or ""
        return RemoteFile(
            name=name,
            size=metadata.size,
            sha256=etag if _ETAG_SHA256.fullmatch(etag) else None,
            git_sha1=etag if _ETAG_GIT.fullmatch(etag) else None,
        )

    def request(self, commit: str, name: str) -> Request:
        """The request for a file. Large ones lie on other hosts, at signed addresses, and those get no token."""
        location = self._locate(commit, name).location
        is_hub = urlsplit(location).netloc == urlsplit(self._endpoint).netloc
        return make_request(location, {"Authorization": f"Bearer {self._token}"} if is_hub else None)

    def _locate(self, commit: str, name: str) -> "HfFileMetadata":
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        url = hf_hub_url(self._id, name, revision=commit, endpoint=self._endpoint)
        with self._explained():
            metadata = get_hf_file_metadata(
                url, token=self._token, timeout=self._timeout_s, endpoint=self._endpoint
            )
            if metadata.commit_hash is None:
                raise ValueError(f"no commit for {url}")
            return metadata

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what huggingface_hub raises into errors that say what to do."""
        from huggingface_hub import errors

        try:
            yield
        except errors.HfHubHTTPError as error:
            raise self._explain(error) from error
        except (ValueError, KeyError) as error:
            raise CheckpointError(
                f"{self._endpoint}: the answer is not that of a Hugging Face hub\n{error}",
                hint="is a login page or a proxy in between? is HF_ENDPOINT right?",
            ) from error
        except Exception as error:
            library = type(error).__module__.partition(".")[0]
            if isinstance(error, OSError) or library in _HTTP_LIBRARIES:
                raise unreachable(self._endpoint, error) from error
            raise

    def _explain(self, error: "HfHubHTTPError") -> CheckpointError:
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        status = error.response.status_code
        message = f"{self._id}: {urlsplit(self._endpoint).hostname} answers {status}"
        said = error.response.headers.get("X-Error-Message")
        message += f"\n{said}" if said else ""
        page = f"{self._endpoint}/{self._id}"
        if status == HTTPStatus.UNAUTHORIZED:
            return CheckpointError(f"{message}\nthe token is not valid", hint=_token_hint(self._endpoint))
        if isinstance(error, GatedRepoError) or status == HTTPStatus.FORBIDDEN:
            hint = (
                f"open {page} and accept the terms with the account of the token; a fine-grained token also "
                "needs the permission to read gated repositories"
            )
            return CheckpointError(f"{message}\nthe account has no access", hint=hint)
        if isinstance(error, RepositoryNotFoundError):
            return CheckpointError(
                f"{message}\nno such repository", hint=f"is {page} still there? if not, use a newer vepscore"
            )
        return refused(page, status, said or "")


def _token_hint(endpoint: str) -> str:
    return f"create a token at {endpoint}/settings/tokens, then run `hf auth login` or set HF_TOKEN"


def _is_inside(name: str) -> bool:
    """Whether a path from the network stays in the folder that it is put in."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts
