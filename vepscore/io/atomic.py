"""Write files all-or-none: under a temporary name in the same folder, renamed when complete."""

import contextlib
import glob
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vepscore.errors import OutputError, UsageError
from vepscore.paths import safe_name, utf8_path


@contextlib.contextmanager
def writing(name: str | Path) -> Iterator[None]:
    """Raise errors of the operating system as `OutputError`, except a broken pipe: its reader has stopped reading.

    Raises:
        OutputError: `name` cannot be written (e.g. disk full, folder removed).
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{name}\ncannot be written: {reason}",
            hint="check the free space and the permissions of the output folder",
        ) from error


@contextlib.contextmanager
def created_folder(folder: Path) -> Iterator[None]:
    """Create a folder if it is missing; after an error, remove it again if it is new and empty.

    Raises:
        UsageError: the path is a file, a FIFO or a device.
        OutputError: the folder cannot be created.
    """
    check_folder(folder)
    existed = folder.is_dir()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if not existed:
            with contextlib.suppress(OSError):
                folder.rmdir()  # fails if it is not empty
        raise


def check_folder(folder: Path) -> None:
    """Refuse an output folder whose path is something else.

    Raises:
        UsageError: the path is a file, a FIFO or a device.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"output {folder}\nis not a folder", hint="name a folder; it is created if missing")


class StagedFile:
    """An output file under a temporary name, with its companion files, such as an index.

    Args:
        path: final path of the file; an existing file is replaced. A link is followed.
        companions: suffixes of the companion files. Publishing renames those that exist beside the temporary file, and
            removes stale ones of an earlier output.
    """

    def __init__(self, path: str | Path, companions: tuple[str, ...] = ()) -> None:
        self.path = Path(os.path.realpath(path))
        self.companions = companions
        # The name ends as the final one does, because index builders check the suffix. Libraries accept only UTF-8.
        self.temporary = utf8_path(self.path.parent) / f".{secrets.token_hex(4)}.{safe_name(self.path.name)}"

    def create(self) -> None:
        """Create the temporary file, empty.

        Raises:
            UsageError: the path is a FIFO or a device.
            OutputError: the file cannot be written there.
        """
        if not self.path.parent.is_dir():
            raise OutputError(
                f"{self.path}\nthe folder {self.path.parent} does not exist", hint="create it first"
            )
        if self.path.is_dir():
            raise OutputError(f"{self.path}\nis a folder, expected the path of a file")
        if self.path.exists() and not self.path.is_file():
            raise UsageError(
                f"output {self.path}\nis not a regular file, which this format requires",
                hint="name a regular file",
            )
        with writing(self.path):
            self.temporary.touch(exist_ok=False)

    def open(self) -> BinaryIO:
        """Open the temporary file for writing."""
        return self.temporary.open("wb")

    def scratch(self, suffix: str) -> Path:
        """Return the path of a temporary file, which the writer removes."""
        return _beside(self.temporary, suffix)

    def publish(self) -> None:
        """Rename the file to its final name."""
        with writing(self.path):
            _flush_to_disk(self.temporary)
            for suffix in self.companions:
                _beside(self.path, suffix).unlink(missing_ok=True)
            os.replace(self.temporary, self.path)
            for suffix in self.companions:
                if _beside(self.temporary, suffix).exists():
                    os.replace(_beside(self.temporary, suffix), _beside(self.path, suffix))

    def discard(self) -> None:
        """Remove the temporary files, if any; there are none after `publish`."""
        for suffix in ("", *self.companions):
            _beside(self.temporary, suffix).unlink(missing_ok=True)


def remove_leftovers(path: str | Path) -> None:
    """Remove temporary files that killed runs left for an output. No run may be writing it."""
    path = Path(os.path.realpath(path))
    name = safe_name(path.name)
    for leftover in path.parent.glob(f".*.{glob.escape(name)}*"):
        if re.fullmatch(rf"\.[0-9a-f]{{8}}\.{re.escape(name)}(\.\w+)*", leftover.name):
            leftover.unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
