"""Find checkpoints: those that come with the package, and the user's own."""

import os
from pathlib import Path

import platformdirs

from vepscore.errors import CheckpointError
from vepscore.paths import is_scratch, provide_home

ENVIRONMENT_VARIABLE = "VEPSCORE_WEIGHTS"
EMBEDDED_NAME = "vepscore-small"
_MARKER_FILE = "config.json"
FILES = (_MARKER_FILE, "tracks.parquet", "model.safetensors", "SHA256SUMS")  # of a checkpoint in our layout
OFFICIAL_FAMILY = "alphagenome"  # of the official layout, and of checkpoints that name none
_OFFICIAL_FILES = ("_METADATA", "_CHECKPOINT_METADATA", "manifest.ocdbt")
_PACKAGE = Path(__file__).resolve().parents[1]


def weights_dir() -> Path:
    """Return the directory of the package's checkpoints: in the package if installed, else beside it."""
    installed = _PACKAGE / "weights"
    return installed if installed.is_dir() else _PACKAGE.parent / "weights"


def user_weights_dir() -> Path:
    """Return the directory of the user's checkpoints: $VEPSCORE_WEIGHTS, or `weights` in the user's data directory."""
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    provide_home()
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("vepscore")) / "weights"


def embedded_checkpoint() -> Path:
    """Return the directory of the default checkpoint, which comes with the package.

    Raises:
        CheckpointError: it is missing.
    """
    path = weights_dir() / EMBEDDED_NAME
    if not (path / _MARKER_FILE).is_file():
        raise CheckpointError(f"{path}: the embedded checkpoint is missing", hint="reinstall vepscore")
    return path


def list_checkpoints() -> list[Path]:
    """Return the directories of the package's checkpoints, then of the user's, each sorted by name.

    A checkpoint can be selected by the name of its directory. If two share a name, the first is used.
    """
    return [*_list_directory(weights_dir()), *_list_directory(user_weights_dir())]


def resolve_checkpoint(name_or_path: str | None) -> Path:
    """Return the directory of a checkpoint.

    Args:
        name_or_path: the name of a directory from `list_checkpoints` or, if there is none such, a directory in either
            layout; None for the embedded checkpoint.

    Raises:
        CheckpointError: it is neither.
    """
    if name_or_path is None:
        return embedded_checkpoint()
    path = Path(name_or_path)
    if os.sep in name_or_path and path.is_dir():  # not a name, so the user's directory need not be readable
        return path
    known = list_checkpoints()
    for listed in known:
        if listed.name == name_or_path:
            return listed
    if path.is_dir():
        return path
    found = "is a file" if path.is_file() else "is neither the name of a checkpoint nor a directory"
    folder = user_weights_dir()
    names = "\n".join(f"{listed.name}  {listed}" for listed in known) or "none"
    raise CheckpointError(
        f"{name_or_path!r} {found}; available checkpoints:\n{names}",
        hint="pass a name or the directory of a checkpoint; `vepscore weights fetch` lists what can be downloaded"
        + ("" if is_scratch(folder) else f"; checkpoints in {folder} can be selected by name"),
    )


def checkpoint_files(directory: Path) -> list[Path]:
    """Return the files of a checkpoint, without its quantiles."""
    if is_official(directory):
        return [path for path in directory.rglob("*") if path.is_file()]
    return [directory / name for name in FILES]


def is_official(directory: Path) -> bool:
    """Return whether a directory is in the official (Orbax) layout, complete or not, rather than in ours."""
    return not (directory / _MARKER_FILE).exists() and any(
        (directory / name).exists() for name in _OFFICIAL_FILES
    )


def _list_directory(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if (path / _MARKER_FILE).is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise CheckpointError(
            f"{directory}: cannot be listed ({error.strerror})",
            hint=f"set ${ENVIRONMENT_VARIABLE} to another directory",
        ) from error
