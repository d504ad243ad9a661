"""Where checkpoints lie: the ones that come with the package, and the user's own."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from vepscore.errors import CheckpointError
from vepscore.paths import is_scratch, provide_home

ENVIRONMENT_VARIABLE = "VEPSCORE_WEIGHTS"
EMBEDDED_NAME = "vepscore-small"
_MARKER_FILE = "config.json"
FILES = (_MARKER_FILE, "tracks.parquet", "model.safetensors", "SHA256SUMS")  # in our layout
_OFFICIAL_FILES = ("_METADATA", "_CHECKPOINT_METADATA", "manifest.ocdbt")
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointEntry:
    """One checkpoint directory that can be asked for by name."""

    name: str  # of the directory
    path: Path
    embedded: bool  # comes with the package


def weights_dir() -> Path:
    """Where the package's own checkpoints lie: inside it when installed, beside it in the source tree."""
    installed = _PACKAGE / "weights"
    return installed if installed.is_dir() else _PACKAGE.parent / "weights"


def user_weights_dir() -> Path:
    """Return where the user's checkpoints lie: $VEPSCORE_WEIGHTS, or `weights` in the user's data directory."""
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    provide_home()
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("vepscore")) / "weights"


def embedded_checkpoint() -> Path:
    """The default checkpoint, which comes with the package.

    Raises:
        CheckpointError: it is not there.
    """
    path = weights_dir() / EMBEDDED_NAME
    if not (path / _MARKER_FILE).is_file():
        raise CheckpointError(f"{path}: the embedded checkpoint is missing", hint="reinstall vepscore")
    return path


def list_checkpoints() -> list[CheckpointEntry]:
    """The package's checkpoints, then the user's, each by name. Of two with one name, the first is used."""
    return [*_entries(weights_dir(), embedded=True), *_entries(user_weights_dir(), embedded=False)]


def resolve_checkpoint(name_or_path: str | None) -> Path:
    """The directory of a checkpoint.

    Args:
        name_or_path: a name that `list_checkpoints` gives, which comes first; else a directory, in whatever
            layout; None for the embedded checkpoint.

    Raises:
        CheckpointError: it is neither.
    """
    if name_or_path is None:
        return embedded_checkpoint()
    path = Path(name_or_path)
    if os.sep in name_or_path and path.is_dir():  # no name, so that the user's folder need not be readable
        return path
    known = list_checkpoints()
    for entry in known:
        if entry.name == name_or_path:
            return entry.path
    if path.is_dir():
        return path
    found = "is a file" if path.is_file() else "is neither a checkpoint's name nor a directory"
    folder = user_weights_dir()
    names = "\n".join(f"{entry.name}  {entry.path}" for entry in known) or "none"
    raise CheckpointError(
        f"{name_or_path!r} {found}; the checkpoints with names are\n{names}",
        hint="pass a name or a checkpoint's directory"
        + ("" if is_scratch(folder) else f"; those in {folder} have names"),
    )


def checkpoint_files(directory: Path) -> list[Path]:
    """Return the files that a checkpoint consists of; its quantiles are not among them."""
    if is_official(directory):
        return [path for path in directory.rglob("*") if path.is_file()]
    return [directory / name for name in FILES]


def is_official(directory: Path) -> bool:
    """Whether a directory is in the official (Orbax) layout, whole or in part, rather than in ours."""
    return not (directory / _MARKER_FILE).exists() and any(
        (directory / name).exists() for name in _OFFICIAL_FILES
    )


def _entries(directory: Path, *, embedded: bool) -> Iterator[CheckpointEntry]:
    try:
        paths = sorted(path for path in directory.iterdir() if (path / _MARKER_FILE).is_file())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise CheckpointError(
            f"{directory}: cannot be listed ({error.strerror})",
            hint=f"set ${ENVIRONMENT_VARIABLE} to another folder",
        ) from error
    for path in paths:
        yield CheckpointEntry(name=path.name, path=path, embedded=embedded)
