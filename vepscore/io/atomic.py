"""Files that appear whole or not at all: written under another name in their folder, renamed at the end."""

import abc
import contextlib
import glob
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from vepscore.errors import OutputError, UsageError
from vepscore.paths import safe_name, utf8_path


@contextlib.contextmanager
def writing(name: str | Path) -> Iterator[None]:
    """Turns the operating system's errors while `name` is written into `OutputError`.

    A broken pipe stays one: the reader downstream has had enough.

    Raises:
        OutputError: the disk is full, the folder vanished, and so on.
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
    """Makes a folder where it is absent; one that was made for nothing is gone afterwards.

    Raises:
        UsageError: there is a file of that name, a FIFO or a device.
        OutputError: it cannot be made.
    """
    check_folder(folder)
    was_there = folder.is_dir()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if not was_there:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where it is empty
        raise


def check_folder(folder: Path) -> None:
    """Refuse a name for an output folder that is taken.

    Raises:
        UsageError: there is a file of that name, a FIFO or a device.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"output {folder}\nis not a folder", hint="name a folder; it is created when absent")


class Target(Protocol):
    """What a writer writes through."""

    def create(self) -> None:
        """Prepare it, before anything is written."""

    def open(self) -> Any:
        """Return a binary file to write to."""

    def scratch(self, suffix: str) -> Path:
        """Return the path of a file that the writer needs meanwhile and removes itself."""

    def publish(self) -> None:
        """Finish it, after all was written."""

    def discard(self) -> None:
        """Remove what is unfinished."""


class StagedFile:
    """An output file under its temporary name, with the side files (an index, say) that belong to it.

    Args:
        path: where the file shall appear; an existing file is replaced. A link is followed.
        companions: suffixes of the side files. On publishing, those that exist beside the temporary file are
            renamed with it, and stale ones of an earlier output are removed.
    """

    def __init__(self, path: str | Path, companions: tuple[str, ...] = ()) -> None:
        self.path = Path(os.path.realpath(path))
        self.companions = companions
        # The whole name is kept at the end, because index builders look at the suffix. Libraries accept only UTF-8.
        self.temporary = utf8_path(self.path.parent) / f".{secrets.token_hex(4)}.{safe_name(self.path.name)}"

    def create(self) -> None:
        """Makes the temporary file, empty.

        Raises:
            UsageError: it would replace a FIFO or a device.
            OutputError: nothing can be written there.
        """
        if not self.path.parent.is_dir():
            raise OutputError(
                f"{self.path}\nthe folder {self.path.parent} does not exist", hint="create it first"
            )
        if self.path.is_dir():
            raise OutputError(f"{self.path}\nis a folder; expected the name of a file")
        if self.path.exists() and not self.path.is_file():
            raise UsageError(
                f"output {self.path}\nis not a regular file, and this format needs one",
                hint="name a regular file",
            )
        with writing(self.path):
            self.temporary.touch(exist_ok=False)

    def open(self) -> BinaryIO:
        """Open the temporary file for writing."""
        return self.temporary.open("wb")

    def scratch(self, suffix: str) -> Path:
        """Return the path of a file that the writer needs meanwhile and removes itself."""
        return _beside(self.temporary, suffix)

    def publish(self) -> None:
        """Gives the file its name."""
        with writing(self.path):
            _flush_to_disk(self.temporary)
            for suffix in self.companions:
                _beside(self.path, suffix).unlink(missing_ok=True)
            os.replace(self.temporary, self.path)
            for suffix in self.companions:
                if _beside(self.temporary, suffix).exists():
                    os.replace(_beside(self.temporary, suffix), _beside(self.path, suffix))

    def discard(self) -> None:
        """Removes what is left under the temporary name: nothing after `publish`."""
        for suffix in ("", *self.companions):
            _beside(self.temporary, suffix).unlink(missing_ok=True)


def remove_leftovers(path: str | Path) -> None:
    """Removes the temporary files that killed runs have left for an output; none may be at work on it."""
    path = Path(os.path.realpath(path))
    name = safe_name(path.name)
    for remains in path.parent.glob(f".*.{glob.escape(name)}*"):
        if re.fullmatch(rf"\.[0-9a-f]{{8}}\.{re.escape(name)}(\.\w+)*", remains.name):
            remains.unlink(missing_ok=True)


class StagedWriter(abc.ABC):
    """A context manager that publishes its file on a clean exit and removes it otherwise.

    Where several outputs must appear together or not at all, call `finish` on each before leaving the first:
    then only renaming is left to be done.
    """

    def __init__(self, target: Target, name: str | Path) -> None:
        self.name = "standard output" if str(name) == "-" else str(name)  # for messages
        self._target = target
        self._is_open = False

    @abc.abstractmethod
    def _open(self) -> None:
        """Opens the temporary file and writes what comes before the first record."""

    @abc.abstractmethod
    def _close(self) -> None:
        """Writes what is buffered and closes what `_open` opened; called once, also after any failure."""

    def _complete(self) -> None:  # noqa: B027 (most have nothing to add)
        """Makes what can only be made from the whole temporary file, after it was closed."""

    def finish(self) -> None:
        """Writes all that is still buffered and closes the temporary file; once only.

        Raises:
            OutputError: it cannot be written.
        """
        if self._is_open:
            self._is_open = False
            with writing(self.name):
                self._close()
                self._complete()

    def __enter__(self) -> Self:
        self._target.create()
        self._is_open = True
        try:
            with writing(self.name):
                self._open()
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
                self._target.publish()
        finally:
            self._abandon()

    def _abandon(self) -> None:
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(Exception):  # the first failure is the one to report
                self._close()
        self._target.discard()


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
