"""Raise an exception for SIGINT and SIGTERM, at a moment at which it ends the command.

Two moments are not such:

- while an extension module is loaded. JAX's aborts the process, or crashes it, if an exception interrupts its
  initialization.
- in a callback whose exceptions Python ignores: those of the garbage collector, which JAX has, and `__del__`.

Then the exception is raised a little later.
"""

import os
import signal
import sys
import threading
from importlib.machinery import ExtensionFileLoader
from types import FrameType

_GRACE_SECONDS = 10  # between SIGTERM and the end of the process
_RETRY_SECONDS = 0.02
_IMPORT_SYSTEM = "<frozen importlib._bootstrap>"


class Terminated(BaseException):
    """SIGTERM, which a scheduler sends before the time limit."""


WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}  # for messages
STATUSES = {number: 128 + number for number in WORDS}  # exit statuses, as shells have them


def signal_of(error: BaseException | None) -> signal.Signals | None:
    """Return the signal for which an exception was raised, if it was.

    Python 3.11 replaces an exception in `__set_name__` by a RuntimeError.
    """
    if isinstance(error, RuntimeError):
        error = error.__cause__
    if isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    return signal.SIGTERM if isinstance(error, Terminated) else None


def set_up_signals() -> None:
    """Handle SIGTERM, and SIGINT unless it is ignored, as in background jobs of a shell."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _handle_ignored


def _interrupt(_: int, frame: FrameType | None) -> None:
    _raise(KeyboardInterrupt, frame)


def _terminate(_: int, frame: FrameType | None) -> None:
    """End the command in order, or at once if that takes too long or something swallows the exception."""
    watchdog = threading.Timer(_GRACE_SECONDS, os._exit, [STATUSES[signal.SIGTERM]])
    watchdog.daemon = True
    watchdog.start()
    _raise(Terminated, frame)


def _handle_ignored(ignored: "sys.UnraisableHookArgs") -> None:
    """Raise the exception of a signal again if it was raised where Python ignores exceptions."""
    if signal_of(ignored.exc_value):
        _raise_later(ignored.exc_type)
    else:
        sys.__unraisablehook__(ignored)


def _raise(error: type[BaseException], frame: FrameType | None) -> None:
    """Raise an exception in a frame, or later if an extension module is being loaded there."""
    if _is_loading_extension(frame):
        _raise_later(error)
    else:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise error


def _raise_later(error: type[BaseException]) -> None:
    """Try repeatedly: a system call that is about to wait does not notice a single signal."""
    signal.signal(signal.SIGALRM, lambda _, frame: _raise(error, frame))
    signal.setitimer(signal.ITIMER_REAL, _RETRY_SECONDS, _RETRY_SECONDS)


def _is_loading_extension(frame: FrameType | None) -> bool:
    """Return whether an import of an extension module is under way, from finding it to the end of its initialization.

    Python creates the module first and executes it then; JAX's crashes if an exception is raised between them too.
    """
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT_SYSTEM:
            loader = getattr(frame.f_locals.get("spec"), "loader", None)
            if isinstance(loader, ExtensionFileLoader):
                return True
        frame = frame.f_back
    return False
