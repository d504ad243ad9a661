"""What all subcommands share: help, exit statuses, and what goes to stderr."""

import importlib.metadata
import logging
import os
import platform
import subprocess
import sys

import pytest

import vepscore as package
from tests.cli.commands import MAIN, ROOT, vepscore
from vepscore.cli.logs import set_up_logging

# A command of the name `fail` that does what the test wants, in a process of its own.
FAILING = (
    "import sys, logging, typer; from vepscore.cli import main as cli; from vepscore import errors\n"
    "def fail(): {body}\n"
    "cli.app.command()(fail)\n"
    "sys.argv[1:] = [*sys.argv[1:], 'fail']\n"
    "cli.main()"
)


def failing(body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return vepscore(*arguments, program=FAILING.format(body=body))


def test_version() -> None:
    done = vepscore("--version")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"vepscore {package.__version__}"
    assert lines[1].startswith(f"python {platform.python_version()} on ")
    assert f"jax {importlib.metadata.version('jax')}" in lines


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["score", "--help"], ["weights", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    heavy = "{'jax', 'flax', 'numpy', 'pandas', 'pyarrow', 'pysam', 'cyvcf2', 'pyfaidx', 'vepscore.scorers'}"
    program = (
        "import atexit, sys; from vepscore.cli.main import main;"
        f"atexit.register(lambda: print({heavy} & set(sys.modules), file=sys.stderr)); main()"
    )
    done = vepscore(*arguments, program=program)
    assert done.returncode == 0
    assert "Usage: vepscore" in done.stdout
    assert done.stderr.strip() == "set()"


def test_help_lists_the_commands() -> None:
    done = vepscore("--help")
    for command in ("score", "scorers", "weights"):
        assert f" {command} " in done.stdout
    assert "completion" not in done.stdout


@pytest.mark.parametrize("arguments", [["bogus"], ["--bogus"], ["scorers", "--bogus"], ["weights", "bogus"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    done = vepscore(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "bogus" in done.stderr


@pytest.mark.parametrize(
    ("error", "status"), [("InputError", 1), ("CheckpointError", 1), ("UsageError", 2)], ids=str
)
def test_our_errors_are_messages(error: str, status: int) -> None:
    done = failing(f"raise errors.{error}('in.vcf record 7\\nREF is [red]A', hint='pass another')")
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr == "error: in.vcf record 7\n  REF is [red]A\n  hint: pass another\n"


def test_long_messages_are_not_broken_into_lines() -> None:
    done = failing("raise errors.InputError('word ' * 90 + 'end')")
    assert done.stderr == "error: " + "word " * 90 + "end\n"


def test_other_errors_keep_their_traceback() -> None:
    done = failing("raise ValueError('our own bug')")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ValueError: our own bug\n")


def test_exit_status_of_a_command_is_kept() -> None:
    assert failing("raise typer.Exit(3)").returncode == 3


def test_interrupt_is_one_line() -> None:
    done = failing("raise KeyboardInterrupt")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def into_closed_pipe(*arguments: str) -> subprocess.CompletedProcess[str]:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [sys.executable, "-c", MAIN, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)


@pytest.mark.parametrize("arguments", [["scorers"], ["weights", "list"], ["--version"]])
def test_closed_pipe_is_quiet(arguments: list[str]) -> None:
    done = into_closed_pipe(*arguments)
    assert (done.returncode, done.stderr) == (141, "")


def test_help_into_a_closed_pipe_is_quiet() -> None:
    done = into_closed_pipe("--help")
    assert done.returncode != 0  # rich, which draws the help, chooses the status
    assert done.stderr == ""


LOGGING = (
    "log = logging.getLogger('vepscore.x'); log.debug('d'); log.info('i'); log.warning('w');"
    "logging.getLogger('other').info('j'); logging.getLogger('other').warning('v')"
)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], "i\nwarning: w\nwarning: v\n"),
        (["--quiet"], "warning: w\nwarning: v\n"),
        (["-v"], "debug: vepscore.x: d\ni\nwarning: w\nwarning: v\n"),
    ],
)
def test_logs_go_to_stderr(flags: list[str], expected: str) -> None:
    done = failing(LOGGING, *flags)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", expected)


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [([], ["-q"], "WARNING"), ([], ["-v"], "DEBUG"), (["-q"], ["-v"], "DEBUG"), (["-v"], [], "DEBUG")],
)
def test_commands_can_take_the_flags_after_their_name(
    before: list[str], after: list[str], level: str
) -> None:
    program = (
        "import logging; from vepscore.cli import main as cli\n"
        "def show():\n"
        "    print(logging.getLevelName(logging.getLogger('vepscore').level))\n"
        "cli.app.command()(cli.expand(show))\n"
        "cli.main()"
    )
    assert vepscore(*before, "show", *after, program=program).stdout == f"{level}\n"


def test_logging_is_set_up_once(capsys: pytest.CaptureFixture[str]) -> None:
    level, handlers = logging.getLogger("vepscore").level, list(logging.getLogger().handlers)
    try:
        set_up_logging()
        set_up_logging()
        logging.getLogger("vepscore").info("once")
        assert capsys.readouterr().err == "once\n"
    finally:
        logging.getLogger("vepscore").setLevel(level)
        logging.getLogger().handlers[:] = handlers
