"""Test that an output appears complete or not at all."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from vepscore.errors import OutputError
from vepscore.io.staged_writer import StagedWriter


class NoteWriter(StagedWriter):
    """Writes texts and calls `on_close` at the end."""

    def __init__(self, path: Path, on_close: Callable[[], None] = lambda: None) -> None:
        super().__init__(path, companions=(".idx",))
        self.on_close = on_close

    def write(self, text: str) -> None:
        self._file.write(text)

    def _open(self) -> None:
        self._file = self._target.temporary.open("w")

    def _close(self) -> None:
        self._file.close()
        self.on_close()


def fail_with(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_the_file_appears_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with NoteWriter(path) as writer:
        writer.write("a")
        assert not path.exists()
    assert path.read_text() == "a"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_failure_keeps_the_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(KeyError), NoteWriter(path) as writer:
        writer.write("new")
        raise KeyError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_failure_on_closing_leaves_nothing(tmp_path: Path) -> None:
    full = OSError(28, "No space left on device")
    with (
        pytest.raises(OutputError, match=r"out\.txt\n.*No space left"),
        NoteWriter(tmp_path / "out.txt", fail_with(full)),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_a_failure_on_opening_leaves_nothing(tmp_path: Path) -> None:
    writer = NoteWriter(tmp_path / "out.txt")
    writer._open = fail_with(OSError(28, "No space left on device"))
    with pytest.raises(OutputError, match="No space left"), writer:
        pass
    assert os.listdir(tmp_path) == []


def test_the_first_failure_is_the_one_reported(tmp_path: Path) -> None:
    with pytest.raises(KeyError), NoteWriter(tmp_path / "out.txt", fail_with(OSError(28, "full"))):
        raise KeyError
    assert os.listdir(tmp_path) == []


def test_after_finish_only_renaming_remains(tmp_path: Path) -> None:
    closed = []
    with NoteWriter(tmp_path / "out.txt", lambda: closed.append(1)) as writer:
        writer.write("a")
        writer.finish()
        assert os.listdir(tmp_path) != ["out.txt"]
    assert closed == [1]
    assert (tmp_path / "out.txt").read_text() == "a"


def test_companion_files_replace_stale_ones(tmp_path: Path) -> None:
    stale = tmp_path / "out.txt.idx"
    stale.write_text("of the old output")
    with NoteWriter(tmp_path / "out.txt"):
        pass
    assert not stale.exists()
    with NoteWriter(tmp_path / "out.txt") as writer:
        target = writer._target
        target.temporary.with_name(target.temporary.name + ".idx").write_text("new")
    assert stale.read_text() == "new"
    assert len(os.listdir(tmp_path)) == 2


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        with NoteWriter(tmp_path / "out.txt"):
            pass
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "out.txt").stat().st_mode) == 0o640


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out.txt").symlink_to(tmp_path / "real" / "out.txt")
    with NoteWriter(tmp_path / "out.txt") as writer:
        writer.write("a")
    assert (tmp_path / "out.txt").is_symlink()
    assert (tmp_path / "real" / "out.txt").read_text() == "a"


def test_impossible_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"), NoteWriter(tmp_path / "absent" / "out.txt"):
        pass
    with pytest.raises(OutputError, match="is a folder"), NoteWriter(tmp_path):
        pass
