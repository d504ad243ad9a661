"""A JSON document that appears whole or not at all."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vepscore.io.atomic import StagedWriter
from vepscore.io.streams import open_target
from vepscore.paths import escape_bytes


class JsonWriter(StagedWriter):
    """Writes the last document that it was given; an empty one where it was given none."""

    def __init__(self, path: Path) -> None:
        super().__init__(open_target(path), path)
        self._document: Mapping[str, Any] = {}

    def write(self, document: Mapping[str, Any]) -> None:
        """Takes the document."""
        self._document = document

    def _open(self) -> None:
        """There is nothing to write yet."""

    def _close(self) -> None:
        text = json.dumps(_escaped(self._document), indent=2, ensure_ascii=False)
        with contextlib.closing(self._target.open()) as file:
            file.write(f"{text}\n".encode())


def _escaped(value: Any) -> Any:
    """Return a document all of whose text is valid Unicode."""
    if isinstance(value, str):
        return escape_bytes(value)
    if isinstance(value, Mapping):
        return {_escaped(key): _escaped(element) for key, element in value.items()}
    return [*map(_escaped, value)] if isinstance(value, list | tuple) else value
