"""Fetch the official checkpoints from the Hugging Face hub, and their track metadata from the official repository.

The weights are on the hub, for accounts that have accepted the model terms.
"""

import functools
import os
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from vepscore.errors import CheckpointError
from vepscore.model.downloads import (
    Observe,
    RemoteFile,
    check_library,
    download,
    download_all,
    host_of,
    reaching,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoSibling

CHECKPOINTS = ("alphagenome-all-folds", *(f"alphagenome-fold-{fold}" for fold in range(4)))
LICENSE = "AlphaGenome model terms (non-commercial)"
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


def fetch_metadata(folder: Path) -> dict[str, Path]:
    """Download the track metadata of each organism into `folder`, from $VEPSCORE_METADATA_URL if it is set.

    Raises:
        CheckpointError: as in `download`.
    """
    base = (os.environ.get(METADATA_VARIABLE) or _METADATA_URL).rstrip("/")
    check_library()
    try:
        with reaching(base):
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
    from huggingface_hub import HfApi, constants, get_token, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    repository, endpoint, token = f"google/{name}", endpoint or constants.ENDPOINT, get_token()
    if token is None:
        raise CheckpointError(f"{repository}: no Hugging Face token", hint=_token_hint(endpoint))
    with reaching(endpoint, functools.partial(_explain, endpoint, repository)):
        commit, remotes = _list_files(HfApi(endpoint=endpoint, token=token), repository)
        target = folder / commit
        addresses = {
            hf_hub_url(repository, remote.name, revision=commit, endpoint=endpoint): remote
            for remote in remotes
        }
        download_all(addresses, target, headers=build_hf_headers(token=token), observe=observe)
    return target


def _list_files(api: "HfApi", repository: str) -> tuple[str, list[RemoteFile]]:
    """Return the newest commit of a repository and its files."""
    from huggingface_hub import constants

    try:
        info = api.model_info(repository, timeout=constants.HF_HUB_ETAG_TIMEOUT, files_metadata=True)
    except (ValueError, KeyError) as error:
        raise CheckpointError(
            f"{api.endpoint}: the answer is not that of a Hugging Face hub\n{error}",
            hint="check HF_ENDPOINT, and whether a login page or a proxy is in between",
        ) from error
    commit, remotes = info.sha or "..", [_remote_file(sibling) for sibling in info.siblings or ()]
    names = [remote.name for remote in remotes]
    strange = [name for name in [commit, *names] if not _is_inside(name)]
    if strange or not names:
        raise CheckpointError(f"{repository}: invalid list of files\nfound {strange or names}")
    return commit, remotes


def _explain(endpoint: str, repository: str, error: "HfHubHTTPError") -> CheckpointError | None:
    """Return the error to raise if the hub refuses a request for a reason that the user can act on."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    page, status = f"{endpoint}/{repository}", error.response.status_code
    if status == HTTPStatus.UNAUTHORIZED:
        reason, hint = "the token is not valid", _token_hint(endpoint)
    elif isinstance(error, GatedRepoError) or status == HTTPStatus.FORBIDDEN:
        reason = "the account has no access"
        hint = (
            f"open {page} and accept the terms with the account of the token; a fine-grained token also "
            "needs the permission to read gated repositories"
        )
    elif isinstance(error, RepositoryNotFoundError):
        reason = "no such repository"
        hint = f"check whether {page} still exists; if not, use a newer vepscore"
    else:
        return None
    answer = [f"{repository}: {host_of(endpoint)} answers {status}", error.server_message, reason]
    return CheckpointError("\n".join(filter(None, answer)), hint=hint)


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
