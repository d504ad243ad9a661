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

# Exit statuses as shells have them: 128 and the signal.
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
_GRACE_SECONDS = 10  # between SIGTERM and the end of the process
_RETRY_SECONDS = 0.02
_IMPORT_SYSTEM = "<frozen importlib._bootstrap>"


class Terminated(BaseException):
    """SIGTERM, which a scheduler sends before the time limit."""


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
    watchdog = threading.Timer(_GRACE_SECONDS, os._exit, [TERMINATED])
    watchdog.daemon = True
    watchdog.start()
    _raise(Terminated, frame)


def _handle_ignored(ignored: "sys.UnraisableHookArgs") -> None:
    """Raise the exception of a signal again if it was raised where Python ignores exceptions."""
    if issubclass(ignored.exc_type, KeyboardInterrupt | Terminated):
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
