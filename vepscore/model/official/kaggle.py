"""The official checkpoints on Kaggle, for accounts that have accepted the model terms there."""

import contextlib
import os
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from vepscore.errors import CheckpointError
from vepscore.model.official.downloads import refused, room_for, unreachable
from vepscore.model.official.hub import EXTRA_HINT

if TYPE_CHECKING:
    import requests

PAGE = "https://www.kaggle.com/models/google/alphagenome"
_TOKEN_HINT = (
    "create an API token at https://www.kaggle.com/settings/api, "
    "then set KAGGLE_API_TOKEN or write it to ~/.kaggle/access_token"
)


def fetch_from_kaggle(name: str, folder: Path) -> Path:
    """Downloads an official checkpoint with the user's credentials; kagglehub shows the progress.

    Args:
        name: one of `hub.CHECKPOINTS`.
        folder: where to; what an earlier call left there is used.

    Returns:
        The checkpoint's folder, below `folder`.

    Raises:
        CheckpointError: the library or the credentials are missing, the terms were not accepted on Kaggle, Kaggle
            cannot be reached, the disk is full, or a file is not what its hash says.
    """
    _quieten()
    # kagglehub writes notices to standard output, where only data belong; its logger keeps the stream it found.
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


def _quieten() -> None:
    """Leaves of what kagglehub says the warnings, and on a terminal the progress; it asks when it is imported."""
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
    """Turns what kagglehub raises into errors that say what to do."""
    import requests
    from kagglehub.exceptions import DataCorruptionError

    try:
        yield
    except requests.HTTPError as error:
        raise _explain(handle, error) from error
    except requests.RequestException as error:
        url = getattr(error.request, "url", None) or PAGE
        raise unreachable(url, error) from error
    except DataCorruptionError as error:
        raise CheckpointError(
            f"{handle}: not what the server announced\n{error}",
            hint="the file was discarded; call again to download it anew",
        ) from error


def _explain(handle: str, error: "requests.HTTPError") -> CheckpointError:
    status = error.response.status_code
    message = f"{handle}: Kaggle answers {status}"
    if status == HTTPStatus.UNAUTHORIZED:
        return CheckpointError(f"{message}\nthe credentials are not valid", hint=_TOKEN_HINT)
    if status == HTTPStatus.FORBIDDEN:
        hint = f"open {PAGE} and accept the terms with the account of the credentials"
        return CheckpointError(f"{message}\nthe account has no access", hint=hint)
    if status == HTTPStatus.NOT_FOUND:
        return CheckpointError(
            f"{message}\nno such model", hint=f"is it still at {PAGE}? if not, use a newer vepscore"
        )
    return refused(error.response.url, status, error.response.reason)
