"""`vepscore scorers` lists without importing, and labels what is broken."""

import contextlib
import io
import subprocess
from pathlib import Path

from tests.builtin_scorers import BUILTIN
from tests.cli.commands import install_plugin, install_scorer, vepscore
from vepscore.cli.tables import print_table


def rows(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_lists_the_builtin_scorers() -> None:
    done = vepscore("scorers")
    assert done.returncode == 0
    assert done.stderr == ""
    builtin = [row for row in rows(done) if row[1].startswith("vepscore ")]
    modules = {name: target.split(":")[0] for name, target in BUILTIN.items()}
    assert {row[0]: row[2] for row in builtin} == modules
    assert len(builtin) == len(modules)


def test_listing_imports_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "broken_module.py").write_text("raise SystemExit(9)")
    install_plugin(tmp_path, "broken-dist", {"BROKEN": "broken_module:BROKEN"})
    program = (
        "import atexit, sys; from vepscore.cli.main import main;"
        "atexit.register(lambda: print(set(sys.modules) & "
        "{'vepscore.scorers', 'jax', 'broken_module', 'pandas', 'rich'}, file=sys.stderr)); main()"
    )
    done = vepscore("scorers", program=program, path=tmp_path)
    assert done.returncode == 0
    assert ["BROKEN", "broken-dist 1.0", "broken_module", ""] in rows(done)
    assert done.stderr.strip() == "set()"


def test_check_labels_each_scorer_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken_module.py").write_text("raise ValueError('two\\nlines')")
    install_plugin(tmp_path, "broken-dist", {"BROKEN": "broken_module:BROKEN"})
    install_scorer(tmp_path, "other-dist", "ATAC", "other_module")
    done = vepscore("scorers", "--check", path=tmp_path)
    assert done.returncode == 1
    remarks = {(row[0], row[1]): row[3] for row in rows(done)}
    assert len(remarks) == len(rows(done)) == len(BUILTIN) + 2
    assert remarks["BROKEN", "broken-dist 1.0"] == "broken: ValueError: two lines"
    assert remarks["ATAC", "other-dist 1.0"].startswith("shadowed by vepscore ")
    assert {name for (name, _), remark in remarks.items() if remark == "ok"} == BUILTIN.keys()
    assert done.stderr == ""


def test_check_succeeds_where_nothing_is_broken() -> None:
    assert vepscore("scorers", "--check").returncode == 0


def test_shows_one_scorer() -> None:
    done = vepscore("scorers", "SPLICE_SITES")
    assert done.returncode == 0
    assert "output: SPLICE_SITES\n" in done.stdout
    assert "needs:  genes (--genes)\n" in done.stdout
    assert "over a gene's body" in done.stdout


def test_shows_a_third_party_scorer(tmp_path: Path) -> None:
    install_scorer(tmp_path, "other-dist", "PLUGGED", "other_module")
    done = vepscore("scorers", "PLUGGED", path=tmp_path)
    assert "needs:  nothing but the reference\n" in done.stdout
    assert "from:   other-dist 1.0\n" in done.stdout
    assert done.stdout.endswith("A scorer of a third party.\n")


def test_unknown_name_is_a_usage_error() -> None:
    done = vepscore("scorers", "RNASEQ")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no scorer is named 'RNASEQ'; did you mean RNA_SEQ")


def test_broken_scorer_is_a_failure_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "broken_module.py").write_text("import no_such_module_anywhere")
    install_plugin(tmp_path, "broken-dist", {"BROKEN": "broken_module:BROKEN"})
    done = vepscore("scorers", "BROKEN", path=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: scorer BROKEN of broken-dist 1.0")
    assert "Traceback" not in done.stderr
    loud = vepscore("--verbose", "scorers", "BROKEN", path=tmp_path)
    assert "Traceback" in loud.stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_gets_a_drawn_table() -> None:
    with contextlib.redirect_stdout(Terminal()) as terminal:
        print_table(("scorer", "remark"), [("ATAC", "a [bold] remark")])
    printed = terminal.getvalue()
    assert "scorer" in printed and "ATAC" in printed and "a [bold] remark" in printed
    assert "\t" not in printed


def test_plain_table_has_one_line_per_row() -> None:
    with contextlib.redirect_stdout(Terminal()) as terminal:
        print_table(("scorer", "remark"), [("ATAC", "two\n\tlines")], plain=True)
    assert terminal.getvalue() == "ATAC\ttwo lines\n"
