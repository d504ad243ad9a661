"""The annotated VCF: the input's records, in order and untouched but for the INFO fields that are added."""

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pysam

from vepscore.errors import InputError
from vepscore.io.atomic import StagedWriter, writing
from vepscore.io.bcf import DeclaredNames, convert_to_bcf
from vepscore.io.header import VcfHeader
from vepscore.io.info import append_info, find_existing, format_info, strip_info
from vepscore.io.output_paths import INDEX_SUFFIXES
from vepscore.io.records import Record
from vepscore.io.results import RecordResult
from vepscore.io.streams import open_target, open_text_output, output_suffix

SUFFIXES = (".vcf", ".vcf.gz", ".bcf")

_INFO_COLUMN = 7
_log = logging.getLogger(__name__)


class VcfWriter(StagedWriter):
    """Writes `.vcf`, `.vcf.gz` or `.bcf` by the path's suffix; to "-", standard output, and other streams plain VCF.

    `.vcf.gz` and `.bcf` are bgzipped and indexed; where the records are not sorted there is no index, and the
    log says so.

    Args:
        header: the header to write.

    Raises:
        UsageError: another suffix, or a stream that is not to be plain VCF.
        InputError: htslib refuses such a header.
    """

    def __init__(self, path: str | Path, header: VcfHeader) -> None:
        self._suffix = output_suffix(path, SUFFIXES)
        check_header(header)
        self._header = header
        self._scratch: Path | None = None  # the text that a BCF is made from
        super().__init__(open_target(path, INDEX_SUFFIXES), path)

    def write_line(self, line: bytes) -> None:
        """Writes one record, given without the line's end.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self._file.write(line + b"\n")
        except OSError:
            with writing(self.name):  # only now, since there may be millions of records
                raise

    def _open(self) -> None:
        self._file = self._open_file()
        self._file.write(self._header.encode())

    def _open_file(self) -> Any:
        if self._suffix != ".bcf":
            return open_text_output(self._target, self._suffix)
        self._scratch = self._target.scratch(".vcf.gz")
        return pysam.BGZFile(str(self._scratch), "wb")

    def _close(self) -> None:
        self._file.close()

    def _complete(self) -> None:
        if self._scratch:
            convert_to_bcf(self._scratch, self._target.temporary)
        if self._suffix != ".vcf":
            make_index(self._target.temporary, self.name)

    def _abandon(self) -> None:
        super()._abandon()
        if self._scratch:
            self._scratch.unlink(missing_ok=True)


class AnnotatedVcfWriter(VcfWriter):
    """Writes records with what came out for their ALTs.

    Args:
        header: from `VcfHeader.with_annotation`.
        overwrite: take our fields out of records that have them, rather than refuse them.
        ranked: the results have quantiles, and the header declares their fields.

    Raises:
        UsageError: the path has another suffix than those of a VCF or BCF.
    """

    def __init__(
        self, path: str | Path, header: VcfHeader, *, overwrite: bool = False, ranked: bool = False
    ) -> None:
        super().__init__(path, header)
        self._overwrite = overwrite
        self._ranked = ranked
        self._names = DeclaredNames(header) if self._suffix == ".bcf" else None

    def write(self, result: RecordResult) -> None:
        """Writes one record with what came out for its ALTs; a record without ALT as it is.

        Raises:
            InputError: the record has our fields already, and they are not to be overwritten.
            OutputError: it cannot be written, or not as BCF.
        """
        record = result.record
        if self._names:
            self._names.check(record)
        parts = record.line.split(b"\t", _INFO_COLUMN + 1)
        if existing := find_existing(parts[_INFO_COLUMN]):
            self._check_overwrite(record, existing)
            parts[_INFO_COLUMN] = strip_info(parts[_INFO_COLUMN])
        if result.alleles:
            added = format_info(result.alleles, ranked=self._ranked)
            parts[_INFO_COLUMN] = append_info(parts[_INFO_COLUMN], added)
        self.write_line(b"\t".join(parts))

    def _check_overwrite(self, record: Record, existing: list[str]) -> None:
        if not self._overwrite:
            raise InputError(
                f"{self._header.source} record {record.index}, {record.chrom}:{record.pos1}\n"
                f"has {', '.join(existing)} in INFO already",
                hint="score the original file, or replace them with --overwrite-existing",
            )


def check_header(header: VcfHeader) -> None:
    """Let htslib read a header, so that no file is written that bcftools cannot open.

    Raises:
        InputError: htslib refuses it.
    """
    with tempfile.NamedTemporaryFile(suffix=".vcf") as file, _quiet_htslib():
        file.write(header.encode())
        file.flush()
        try:
            pysam.VariantFile(file.name).close()
        except (OSError, ValueError) as error:
            raise InputError(
                f"{header.source or 'the header'}\nhas a header that htslib refuses, expected one that bcftools opens",
                hint="`bcftools view -h` on that file names the line",
            ) from error


def make_index(path: Path, name: str) -> None:
    """Makes `.csi` for BCF; `.tbi` for VCF, or `.csi` where positions are too large for that.

    Args:
        path: the file, bgzipped.
        name: what it will be called; it tells BCF, and the warning where no index can be made.
    """
    preset = "bcf" if name.endswith(".bcf") else "vcf"
    with _quiet_htslib():
        for csi in (False, True):
            with contextlib.suppress(OSError):
                pysam.tabix_index(str(path), preset=preset, force=True, csi=csi)
                return
            for suffix in INDEX_SUFFIXES:  # half an index
                path.with_name(path.name + suffix).unlink(missing_ok=True)
    _log.warning("%s: no index could be made; its records are not sorted by contig and position", name)


@contextlib.contextmanager
def _quiet_htslib() -> Iterator[None]:
    """Without htslib's own messages on stderr, where the caller reports the failure."""
    verbosity = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(verbosity)
