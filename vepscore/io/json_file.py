"""A JSON document that appears whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vepscore.io.atomic import StagedFile, StagedWriter


class JsonWriter(StagedWriter):
    """Writes the last document that it was given; an empty one where it was given none."""

    def __init__(self, path: Path) -> None:
        super().__init__(StagedFile(path), path)
        self._document: Mapping[str, Any] = {}

    def write(self, document: Mapping[str, Any]) -> None:
        """Takes the document."""
        self._document = document

    def _open(self) -> None:
        """There is nothing to write yet."""

    def _close(self) -> None:
        text = json.dumps(self._document, indent=2, ensure_ascii=False)
        self._target.temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
