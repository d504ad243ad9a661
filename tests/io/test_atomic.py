import os
import stat

import pytest

from vepscore.errors import OutputError
from vepscore.io.atomic import StagedFile, StagedWriter


class NoteWriter(StagedWriter):
    """Writes texts; `on_close` happens at the end."""

    def __init__(self, path, on_close=lambda: None):
        super().__init__(StagedFile(path, companions=(".idx",)), path)
        self.on_close = on_close

    def write(self, text):
        self._file.write(text)

    def _open(self):
        self._file = self._target.temporary.open("w")

    def _close(self):
        self._file.close()
        self.on_close()


def fail_with(error):
    def fail():
        raise error

    return fail


def test_the_file_appears_at_the_end(tmp_path):
    path = tmp_path / "out.txt"
    with NoteWriter(path) as writer:
        writer.write("a")
        assert not path.exists()
    assert path.read_text() == "a"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(KeyError), NoteWriter(path) as writer:
        writer.write("new")
        raise KeyError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_failure_on_closing_leaves_nothing(tmp_path):
    full = OSError(28, "No space left on device")
    with (
        pytest.raises(OutputError, match=r"out\.txt\n.*No space left"),
        NoteWriter(tmp_path / "out.txt", fail_with(full)),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_a_failure_on_opening_leaves_nothing(tmp_path):
    writer = NoteWriter(tmp_path / "out.txt")
    writer._open = fail_with(OSError(28, "No space left on device"))
    with pytest.raises(OutputError, match="No space left"), writer:
        pass
    assert os.listdir(tmp_path) == []


def test_the_first_failure_is_the_one_reported(tmp_path):
    with pytest.raises(KeyError), NoteWriter(tmp_path / "out.txt", fail_with(OSError(28, "full"))):
        raise KeyError
    assert os.listdir(tmp_path) == []


def test_after_finishing_only_renaming_is_left(tmp_path):
    closed = []
    with NoteWriter(tmp_path / "out.txt", lambda: closed.append(1)) as writer:
        writer.write("a")
        writer.finish()
        assert os.listdir(tmp_path) != ["out.txt"]
    assert closed == [1]
    assert (tmp_path / "out.txt").read_text() == "a"


def test_stale_side_files_go_and_new_ones_come_along(tmp_path):
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


def test_permissions_follow_the_umask(tmp_path):
    previous = os.umask(0o027)
    try:
        with NoteWriter(tmp_path / "out.txt"):
            pass
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "out.txt").stat().st_mode) == 0o640


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out.txt").symlink_to(tmp_path / "real" / "out.txt")
    with NoteWriter(tmp_path / "out.txt") as writer:
        writer.write("a")
    assert (tmp_path / "out.txt").is_symlink()
    assert (tmp_path / "real" / "out.txt").read_text() == "a"


def test_impossible_places_are_refused(tmp_path):
    with pytest.raises(OutputError, match="does not exist"), NoteWriter(tmp_path / "absent" / "out.txt"):
        pass
    with pytest.raises(OutputError, match="is a folder"), NoteWriter(tmp_path):
        pass
