"""Paths that are not UTF-8, and the substitute for a missing home folder."""

import os
import pathlib
import subprocess
import sys

import pytest

from vepscore.paths import escape_bytes, is_scratch, is_utf8, safe_name, scratch_folder, utf8_path

ODD = os.fsdecode(b"d\xe9p")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("dép", "dép"),
        (ODD, r"d\xe9p"),
        ("d\udcc3\udca9p", "dép"),  # as Python reads UTF-8 in an ASCII locale
        ("\ud800", r"\ud800"),
    ],
)
def test_escaped_text_is_valid_unicode(text: str, shown: str) -> None:
    assert escape_bytes(text) == shown


def test_utf8_path_is_returned_unchanged() -> None:
    assert utf8_path("dép/in.vcf.gz") == pathlib.Path("dép/in.vcf.gz")
    assert safe_name("dép.vcf") == "dép.vcf"


def test_other_path_is_linked_with_the_same_suffix(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    (folder / f"{ODD}.vcf.gz").write_text("text")
    (folder / "b.txt").write_text("other")
    links = [utf8_path(folder / name) for name in (f"{ODD}.vcf.gz", "b.txt", f"{ODD}.vcf.gz")]
    assert links[0] == links[2] != links[1]
    assert [link.read_text() for link in links[:2]] == ["text", "other"]
    assert links[0].name == "d_p.vcf.gz" and all(map(is_utf8, links))
    assert all(map(is_scratch, links)) and not is_scratch(folder)


def test_temporary_folder_is_removed_at_exit() -> None:
    program = "from vepscore.paths import scratch_folder; print(scratch_folder(), scratch_folder().is_dir())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    folder, was_there = done.stdout.split()
    assert was_there == "True" and not pathlib.Path(folder).exists()
    assert pathlib.Path(folder) != scratch_folder()


@pytest.mark.parametrize("home", ["/nonexistent/home", ""])
def test_home_that_is_not_a_folder_is_replaced(home: str) -> None:
    program = (
        "import os; from vepscore.paths import provide_home; provide_home(); print(os.path.expanduser('~'))"
    )
    environment = os.environ | {"HOME": home}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    found = done.stdout.strip()
    assert found not in ("", "/", "~", home)
    assert ("vepscore-" in found) == bool(home)  # without $HOME, the password database has one
