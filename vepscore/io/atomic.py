"""Files that appear whole or not at all: written under another name in their folder, renamed at the end."""

import abc
import contextlib
import glob
import os
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from vepscore.errors import OutputError, UsageError


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
def made_folder(folder: Path) -> Iterator[None]:
    """Makes a folder where it is absent; one that was made for nothing is gone afterwards.

    Raises:
        OutputError: it cannot be made.
    """
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


def check_suffix(path: str | Path, suffixes: Sequence[str]) -> None:
    """Refuses an output whose name ends in none of the suffixes.

    Raises:
        UsageError: so it does.
    """
    if not str(path).endswith(tuple(suffixes)):
        raise UsageError(f"output {path}\nexpected a name that ends in {' or '.join(suffixes)}")


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
        # The whole name is kept at the end, because index builders look at the suffix.
        self.temporary = self.path.with_name(f".{secrets.token_hex(4)}.{self.path.name}")

    def create(self) -> None:
        """Makes the temporary file, empty.

        Raises:
            OutputError: nothing can be written there.
        """
        if not self.path.parent.is_dir():
            raise OutputError(
                f"{self.path}\nthe folder {self.path.parent} does not exist", hint="create it first"
            )
        if self.path.is_dir():
            raise OutputError(f"{self.path}\nis a folder; expected the name of a file")
        with writing(self.path):
            self.temporary.touch(exist_ok=False)

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


def remove_remains(path: str | Path) -> None:
    """Removes the temporary files that killed runs have left for an output; none may be at work on it."""
    path = Path(os.path.realpath(path))
    for remains in path.parent.glob(f".*.{glob.escape(path.name)}*"):
        if re.fullmatch(rf"\.[0-9a-f]{{8}}\.{re.escape(path.name)}(\.\w+)*", remains.name):
            remains.unlink(missing_ok=True)


class StandardOutput:
    """Standard output in the place of a `StagedFile`: nothing to rename, nothing to take back."""

    def create(self) -> None:
        """Makes sure that there is one.

        Raises:
            OutputError: it was closed before the program began.
        """
        if sys.stdout is None:
            raise OutputError("standard output\nis closed", hint="name a file with -o")

    def publish(self) -> None:
        """Hands on what Python has buffered.

        Raises:
            OutputError: it cannot be written.
        """
        with writing("standard output"):
            sys.stdout.buffer.flush()

    def discard(self) -> None:
        """Does nothing: what was written is gone downstream."""


class StagedWriter(abc.ABC):
    """A context manager that publishes its file on a clean exit and removes it otherwise.

    Where several outputs must appear together or not at all, call `finish` on each before leaving the first:
    then only renaming is left to be done.
    """

    def __init__(self, target: StagedFile | StandardOutput, name: str | Path) -> None:
        self.name = str(name)  # for messages
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
