"""Fetch the official checkpoints from the Hugging Face hub, and their track metadata from the official repository.

The weights are on the hub, for accounts that have accepted the model terms.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from vepscore.errors import CheckpointError
from vepscore.model.official.downloads import (
    RemoteFile,
    check_library,
    check_space,
    download,
    host_of,
    reaching,
)

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoSibling

CHECKPOINTS = ("alphagenome-all-folds", *(f"alphagenome-fold-{fold}" for fold in range(4)))
TERMS_URL = "https://deepmind.google.com/science/alphagenome/model-terms"
METADATA_VARIABLE = "VEPSCORE_METADATA_URL"
_METADATA_URL = (
    "https://raw.githubusercontent.com/google-deepmind/alphagenome_research/3f79219086685598d13b41c5d39e112f76dc8216"
    "/src/alphagenome_research/model/metadata"
)
METADATA_FILES = {
    "human": RemoteFile(
        name="OutputMetadataResponse_ORGANISM_HOMO_SAPIENS.textproto",
        size=2_637_391,
        digest="413b4063096bbf7a75a7fdf5560030f8e3866c6af2455fb313e58686ae3d49e8",
    ),
    "mouse": RemoteFile(
        name="OutputMetadataResponse_ORGANISM_MUS_MUSCULUS.textproto",
        size=824_428,
        digest="a22eb7b2e435ed5d34325eb2ffc575679adc1fc6d91958f8c3bf4c7c8a55a929",
    ),
}
_OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")

Observe = Callable[[int, int], None]  # bytes downloaded, bytes in all


def check_online() -> None:
    """Check that the environment allows downloads.

    Raises:
        CheckpointError: $HF_HUB_OFFLINE or $TRANSFORMERS_OFFLINE is set.
    """
    for name in _OFFLINE_VARIABLES:
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise CheckpointError(
                f"{name} is set, so nothing is downloaded",
                hint=f"unset {name} where there is a network; an imported checkpoint needs none",
            )


def fetch_metadata(folder: Path) -> dict[str, Path]:
    """Download the track metadata of each organism into `folder`, from $VEPSCORE_METADATA_URL if it is set.

    Raises:
        CheckpointError: as in `download`.
    """
    base = (os.environ.get(METADATA_VARIABLE) or _METADATA_URL).rstrip("/")
    try:
        return {
            organism: download(remote, folder, f"{base}/{remote.name}")
            for organism, remote in METADATA_FILES.items()
        }
    except CheckpointError as error:
        others = f"pass the track metadata with --metadata, or set {METADATA_VARIABLE} to a mirror"
        hint = f"{error.hint}; or {others}" if error.hint else others
        raise CheckpointError(error.message, hint=hint) from error


def fetch_from_huggingface(
    name: str, folder: Path, *, observe: Observe = lambda done, total: None, endpoint: str | None = None
) -> Path:
    """Download an official checkpoint with the user's token.

    Args:
        name: one of CHECKPOINTS.
        folder: the destination; files of an earlier call are kept, and a partial one is resumed.
        observe: called with the bytes downloaded so far and in all.
        endpoint: address of the hub; $HF_ENDPOINT or the public hub if None.

    Returns:
        The folder of the checkpoint, in `folder`.

    Raises:
        CheckpointError: the library or the token is missing, the terms were not accepted on the hub, the hub cannot
            be reached, the disk is full, or a hash does not match.
    """
    check_library()
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    repository = _Repository(name, endpoint or constants.ENDPOINT)
    commit, remotes = repository.list_files()
    target = folder / commit
    target.mkdir(parents=True, exist_ok=True)
    check_space(target, remotes)
    total, before = sum(remote.size for remote in remotes), 0

    def observe_file(before: int, size: int) -> None:
        observe(before + size, total)

    for remote in remotes:
        download(
            remote,
            target,
            hf_hub_url(repository.id, remote.name, revision=commit, endpoint=repository.endpoint),
            headers=build_hf_headers(token=repository.token),
            explain=repository.explain,
            observe=functools.partial(observe_file, before),
        )
        before += remote.size
    return target


class _Repository:
    """A repository on the hub, with the user's token."""

    def __init__(self, name: str, endpoint: str) -> None:
        import huggingface_hub

        token = huggingface_hub.get_token()
        self.id = f"google/{name}"
        self.endpoint = endpoint
        if token is None:
            raise CheckpointError(f"{self.id}: no Hugging Face token", hint=_token_hint(endpoint))
        self.token = token

    def list_files(self) -> tuple[str, list[RemoteFile]]:
        """Return the newest commit and its files."""
        from huggingface_hub import HfApi, constants

        with self._is_hub(), reaching(self.endpoint, self.explain):
            api = HfApi(endpoint=self.endpoint, token=self.token)
            info = api.model_info(self.id, timeout=constants.HF_HUB_ETAG_TIMEOUT, files_metadata=True)
        commit, remotes = info.sha or "..", [_remote_file(sibling) for sibling in info.siblings or ()]
        names = [remote.name for remote in remotes]
        strange = [name for name in [commit, *names] if not _is_inside(name)]
        if strange or not names:
            raise CheckpointError(f"{self.id}: invalid list of files\nfound {strange or names}")
        return commit, remotes

    def explain(self, error: "HfHubHTTPError") -> CheckpointError | None:
        """Return the error to raise if the hub refuses a request for a reason that the user can act on."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        status = error.response.status_code
        page = f"{self.endpoint}/{self.id}"
        answer = "\n".join(filter(None, (f"{host_of(page)} answers {status}", error.server_message)))
        if status == HTTPStatus.UNAUTHORIZED:
            return CheckpointError(
                f"{self.id}: {answer}\nthe token is not valid", hint=_token_hint(self.endpoint)
            )
        if isinstance(error, GatedRepoError) or status == HTTPStatus.FORBIDDEN:
            hint = (
                f"open {page} and accept the terms with the account of the token; a fine-grained token also "
                "needs the permission to read gated repositories"
            )
            return CheckpointError(f"{self.id}: {answer}\nthe account has no access", hint=hint)
        if isinstance(error, RepositoryNotFoundError):
            hint = f"check whether {page} still exists; if not, use a newer vepscore"
            return CheckpointError(f"{self.id}: {answer}\nno such repository", hint=hint)
        return None

    @contextlib.contextmanager
    def _is_hub(self) -> Iterator[None]:
        """Raise CheckpointError if an answer is not that of a hub."""
        try:
            yield
        except (ValueError, KeyError) as error:
            raise CheckpointError(
                f"{self.endpoint}: the answer is not that of a Hugging Face hub\n{error}",
                hint="check HF_ENDPOINT, and whether a login page or a proxy is in between",
            ) from error


def _remote_file(sibling: "RepoSibling") -> RemoteFile:
    """Return a file with its hash: the sha256 of a large file, the git hash of a small one."""
    digest = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
    name, size = sibling.rfilename, sibling.size or 0
    return RemoteFile(name=name, size=size, digest=digest or "", is_git=sibling.lfs is None)


def _token_hint(endpoint: str) -> str:
    return f"create a token at {endpoint}/settings/tokens, then run `hf auth login` or set HF_TOKEN"


def _is_inside(name: str) -> bool:
    """Return whether a relative path from the network stays in the folder that it is put in."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts
