"""What a command shows on a terminal."""

import contextlib
import os


def read_until(terminal: int, text: bytes | None) -> bytes:
    """What a pseudo-terminal shows up to `text`, or to the end where it is None."""
    shown = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal with an error
        while text is None or text not in shown:
            part = os.read(terminal, 4096)
            if not part:
                break
            shown += part
    return shown
