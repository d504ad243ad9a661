"""The long table as it is read: a Parquet file, or a DataFrame of the same columns."""

import contextlib
import functools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vepscore.errors import InputError
from vepscore.io.header import PROVENANCE_PREFIX
from vepscore.io.tidy import RENAMED
from vepscore.paths import utf8_path

log = logging.getLogger(__name__)

_READ_HINT = "copy it again, or use the annotated VCF"
_HINT = "score the VCF again with `-o OUT.parquet`, or use the annotated VCF"


class LongTableReader:
    """Read columns of a long table, a row group at a time. Columns of release 0.1 have their current names.

    Args:
        source: path of a Parquet file, or a DataFrame, which is one row group.

    Attributes:
        name: the table's name in messages.
        has_status: the column `status` is there, and with it alleles that were not scored.
    """

    def __init__(self, source: str | Path | pd.DataFrame) -> None:
        self._source = source
        self.name = "the DataFrame" if isinstance(source, pd.DataFrame) else str(source)
        self.has_status = isinstance(source, pd.DataFrame) and "status" in source

    def provenance(self) -> tuple[str, ...]:
        """Return lines that say how the scores were made, as in a VCF header; none for a DataFrame.

        Raises:
            InputError: the file cannot be read.
        """
        if isinstance(self._source, pd.DataFrame):
            return ()
        with reading_parquet(self.name, _READ_HINT):
            lines = metadata_lines(pq.read_schema(utf8_path(self._source)))
        return tuple(line for line in lines if line.startswith(PROVENANCE_PREFIX))

    def groups(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the columns of each row group.

        Raises:
            InputError: the file cannot be read, or a column is missing.
        """
        if isinstance(self._source, pd.DataFrame):
            frame = self._source.rename(columns=RENAMED)
            self._check(list(frame.columns), columns)
            yield pa.Table.from_pandas(frame[list(columns)], preserve_index=False)
            return
        with reading_parquet(self.name, _READ_HINT), pq.ParquetFile(utf8_path(self._source)) as file:
            stored = self._check(file.schema_arrow.names, columns)
            names = [stored[column] for column in columns]
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=names)
                yield table.select(names).rename_columns(list(columns))

    def _check(self, found: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
        """Return the found name of each column by its current name; raise InputError if one is missing."""
        stored = {RENAMED.get(name, name): name for name in found}
        missing = [name for name in columns if name not in stored]
        if missing:
            raise InputError(
                f"{self.name}\nhas no column {', '.join(missing)}; expected the columns of vepscore's long table",
                hint=_HINT,
            )
        if old := [f"{name} (now {RENAMED[name]})" for name in found if name in RENAMED]:
            _warn_of_old_names(self.name, ", ".join(old))
        return stored


def metadata_lines(schema: pa.Schema) -> list[str]:
    """Return the metadata of a Parquet file as lines of a VCF header, `##key=value`."""
    metadata = (schema.metadata or {}).items()
    return [
        f"##{key.decode('utf-8', 'replace')}={value.decode('utf-8', 'replace')}" for key, value in metadata
    ]


@contextlib.contextmanager
def reading_parquet(name: str | Path, hint: str) -> Iterator[None]:
    """Raise what pyarrow raises as InputError: the file `name` cannot be read as Parquet."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{name}\ncannot be read as Parquet: {error}", hint=hint) from error


@functools.cache  # a report reads its table twice
def _warn_of_old_names(name: str, columns: str) -> None:
    log.warning("%s: former column names, which only this release reads: %s", name, columns)
