"""Write a JSON document, all-or-none."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vepscore.io.atomic import StagedWriter
from vepscore.io.streams import open_target
from vepscore.paths import escape_bytes


class JsonWriter(StagedWriter):
    """Writes the last document given to `write`; an empty one if there is none."""

    def __init__(self, path: Path) -> None:
        super().__init__(open_target(path), path)
        self._document: Mapping[str, Any] = {}

    def write(self, document: Mapping[str, Any]) -> None:
        """Set the document to write."""
        self._document = document

    def _open(self) -> None:
        """Do nothing; the document is written at the end."""

    def _close(self) -> None:
        text = json.dumps(_escaped(self._document), indent=2, ensure_ascii=False)
        with contextlib.closing(self._target.open()) as file:
            file.write(f"{text}\n".encode())


def _escaped(value: Any) -> Any:
    """Return the document with all text as valid Unicode."""
    if isinstance(value, str):
        return escape_bytes(value)
    if isinstance(value, Mapping):
        return {_escaped(key): _escaped(element) for key, element in value.items()}
    return [*map(_escaped, value)] if isinstance(value, list | tuple) else value
