"""SIGINT and SIGTERM end a command in order at moments at which an exception would crash it, or be ignored."""

import os
import signal
import subprocess
import sys

import pytest

from tests.cli.commands import ROOT

SIGNALS = {signal.SIGINT: "interrupted\n", signal.SIGTERM: "terminated\n"}
_DEADLINE_SECONDS = 60

# A command that gets a signal at the moment that `body` defines; it does not end by itself.
PROGRAM = """
import gc, os, sys, time
from importlib.machinery import ExtensionFileLoader
from vepscore.cli import main as cli
def signal_itself(): os.kill(os.getpid(), {number})
def fail():
{body}
    time.sleep(600)
cli.app.command()(fail)
sys.argv[1:] = ["fail"]
cli.main()
"""
IN_INITIALIZATION = """
    execute = ExtensionFileLoader.exec_module
    def exec_module(loader, module):
        signal_itself()
        execute(loader, module)
        print("loaded")
    ExtensionFileLoader.exec_module = exec_module
    import pysam.libcutils
"""
BETWEEN_CREATION_AND_INITIALIZATION = """
    create = ExtensionFileLoader.create_module
    def create_module(loader, spec):
        return create(loader, spec), signal_itself()
    ExtensionFileLoader.create_module = lambda *arguments: create_module(*arguments)[0]  # keeps no module
    import jaxlib.xla_client
"""
IN_GARBAGE_COLLECTION = """
    def callback(*_):
        gc.callbacks.clear()
        signal_itself()
    gc.callbacks.append(callback)
    gc.collect()
"""
IN_CLASS_STATEMENT = """
    class Name:
        def __set_name__(self, *_): signal_itself()
    class Named:
        name = Name()
"""


def run_with_signal(number: signal.Signals, body: str) -> subprocess.CompletedProcess[str]:
    as_in_a_terminal = ("env", "--default-signal=INT")  # a shell's background jobs ignore it
    return subprocess.run(
        [*as_in_a_terminal, sys.executable, "-c", PROGRAM.format(number=int(number), body=body)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=_DEADLINE_SECONDS,
    )


@pytest.mark.parametrize("number", SIGNALS)
def test_extension_module_is_loaded_to_the_end(number: signal.Signals) -> None:
    done = run_with_signal(number, IN_INITIALIZATION)
    assert (done.returncode, done.stderr) == (128 + number, SIGNALS[number])
    assert done.stdout.startswith("loaded\n")


def test_loading_jax_does_not_crash() -> None:
    done = run_with_signal(signal.SIGTERM, BETWEEN_CREATION_AND_INITIALIZATION)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "terminated\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_not_lost_in_a_callback_whose_exceptions_are_ignored(number: signal.Signals) -> None:
    done = run_with_signal(number, IN_GARBAGE_COLLECTION)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", SIGNALS[number])


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_known_if_python_replaces_its_exception(number: signal.Signals) -> None:
    done = run_with_signal(number, IN_CLASS_STATEMENT)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", SIGNALS[number])
