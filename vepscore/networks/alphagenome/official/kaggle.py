"""Fetch the official checkpoints from Kaggle, for accounts that have accepted the model terms there."""

import contextlib
import os
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from vepscore.errors import CheckpointError
from vepscore.model.downloads import EXTRA_HINT, refused, room_for, unreachable

if TYPE_CHECKING:
    import requests

PAGE = "https://www.kaggle.com/models/google/alphagenome"
_TOKEN_HINT = (
    "create an API token at https://www.kaggle.com/settings/api, "
    "then set KAGGLE_API_TOKEN or write it to ~/.kaggle/access_token"
)


def fetch_from_kaggle(name: str, folder: Path) -> Path:
    """Download an official checkpoint with the user's credentials; kagglehub shows the progress.

    Args:
        name: one of `hub.CHECKPOINTS`.
        folder: the destination; files of an earlier call are kept, and a partial one is resumed.

    Returns:
        The folder of the checkpoint, in `folder`.

    Raises:
        CheckpointError: the library or the credentials are missing, the terms were not accepted on Kaggle, Kaggle
            cannot be reached, the disk is full, or a hash does not match.
    """
    _silence()
    # kagglehub writes notices to standard output, which is for data; its logger keeps the stream it was created with.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            import kagglehub
        except ImportError as error:
            raise CheckpointError(
                f"kagglehub is not installed, or broken: {error}", hint=EXTRA_HINT
            ) from error
        _check_credentials()
        os.environ["KAGGLEHUB_CACHE"] = str(folder)
        variation = name.removeprefix("alphagenome-").replace("-", "_")
        handle = f"google/alphagenome/jax/{variation}"
        with room_for(folder), _explained(handle):
            return Path(kagglehub.model_download(handle))


def _silence() -> None:
    """Keep only kagglehub's warnings and, on a terminal, its progress; it reads these settings when imported."""
    os.environ.setdefault("KAGGLEHUB_VERBOSITY", "warning")
    if not sys.stderr.isatty():
        os.environ["TQDM_DISABLE"] = "1"


def _check_credentials() -> None:
    from kagglehub.config import get_kaggle_credentials

    try:
        found = get_kaggle_credentials()
    except ValueError as error:
        raise CheckpointError(str(error), hint=_TOKEN_HINT) from error
    if found is None:
        raise CheckpointError("no Kaggle credentials", hint=_TOKEN_HINT)


@contextlib.contextmanager
def _explained(handle: str) -> Iterator[None]:
    """Raise CheckpointError, with a hint, for the errors of kagglehub."""
    import requests
    from kagglehub.exceptions import DataCorruptionError

    try:
        yield
    except requests.RequestException as error:
        if error.response is not None:
            raise _explain(handle, error.response) from error
        url = getattr(error.request, "url", None) or PAGE
        raise unreachable(url, error) from error
    except DataCorruptionError as error:
        raise CheckpointError(
            f"{handle}: does not match its hash\n{error}",
            hint="the file was deleted; rerun to download it again",
        ) from error


def _explain(handle: str, response: "requests.Response") -> CheckpointError:
    status = response.status_code
    message = f"{handle}: Kaggle answers {status}"
    if status == HTTPStatus.UNAUTHORIZED:
        return CheckpointError(f"{message}\nthe credentials are not valid", hint=_TOKEN_HINT)
    if status == HTTPStatus.FORBIDDEN:
        hint = f"open {PAGE} and accept the terms with the account of the credentials"
        return CheckpointError(f"{message}\nthe account has no access", hint=hint)
    if status == HTTPStatus.NOT_FOUND:
        return CheckpointError(
            f"{message}\nno such model",
            hint=f"check whether {PAGE} still exists; if not, use a newer vepscore",
        )
    return refused(response.url, status, response.reason)
