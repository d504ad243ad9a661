"""Write the annotated VCF: the input's records in their order, unchanged except for the INFO fields that are added."""

import contextlib
import logging
import tempfile
from pathlib import Path
from typing import Any

import pysam
import pysam.bcftools

from vepscore.errors import InputError, OutputError
from vepscore.io.atomic import writing
from vepscore.io.header import VcfHeader
from vepscore.io.info import append_info, find_existing, format_info, strip_info
from vepscore.io.lines import quiet_htslib
from vepscore.io.output_paths import INDEX_SUFFIXES
from vepscore.io.records import Record
from vepscore.io.results import RecordResult, ResultWriter
from vepscore.io.staged_writer import StagedWriter
from vepscore.io.suffixes import VCF_SUFFIXES

_INFO_COLUMN = 7
_log = logging.getLogger(__name__)


class VcfWriter(StagedWriter):
    """Write `.vcf`, `.vcf.gz` or `.bcf` by the path's suffix; plain VCF to "-", standard output, and other streams.

    `.vcf.gz` and `.bcf` are bgzipped and indexed. Unsorted records get no index, and a warning is logged.

    Raises:
        UsageError: another suffix, or a stream with the suffix of a compressed format.
        InputError: htslib refuses the header.
    """

    def __init__(self, path: str | Path, header: VcfHeader) -> None:
        super().__init__(path, VCF_SUFFIXES, INDEX_SUFFIXES)
        check_header(header)
        self._header = header
        self._scratch: Path | None = None  # the text that a BCF is made from

    def write_line(self, line: bytes) -> None:
        """Write one record, given without its line end.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self._file.write(line + b"\n")
        except OSError:
            with writing(self.name):  # entered only on failure: there may be millions of records
                raise

    def _open(self) -> None:
        if self._suffix == ".bcf":
            self._scratch = self._target.scratch(".vcf.gz")
            self._file = pysam.BGZFile(str(self._scratch), "wb", index=None)
        else:
            super()._open()
        self._file.write(self._header.encode())

    def _complete(self) -> None:
        if self._scratch:
            _convert_to_bcf(self._scratch, self._temporary)
        if self._suffix != ".vcf":
            make_index(self._temporary, self.name)

    def _abandon(self) -> None:
        super()._abandon()
        if self._scratch:
            self._scratch.unlink(missing_ok=True)


class AnnotatedVcfWriter(VcfWriter, ResultWriter):
    """Write records with the results of their ALTs in INFO.

    Args:
        header: from `VcfHeader.with_annotation`.
        overwrite: replace our fields in records that have them already, instead of refusing such records.
        ranked: the results have quantiles, and the header declares their fields.
    """

    def __init__(
        self, path: str | Path, header: VcfHeader, *, overwrite: bool = False, ranked: bool = False
    ) -> None:
        super().__init__(path, header)
        self._overwrite = overwrite
        self._ranked = ranked
        self._names = _DeclaredNames(header) if self._suffix == ".bcf" else None

    def write(self, result: RecordResult) -> None:
        """Write one record with the results of its ALTs; a record without ALT stays as it is.

        Raises:
            InputError: the record has our fields already, and `overwrite` is false.
            OutputError: it cannot be written, or not as BCF.
        """
        record = result.record
        if self._names:
            self._names.check(record)
        parts = record.line.split(b"\t", _INFO_COLUMN + 1)
        if existing := find_existing(parts[_INFO_COLUMN]):
            if not self._overwrite:
                raise InputError(
                    f"{self._header.source} record {record.index}, {record.chrom}:{record.pos1}\n"
                    f"already has {', '.join(existing)} in INFO",
                    hint="score the original file, or replace them with --overwrite-existing",
                )
            parts[_INFO_COLUMN] = strip_info(parts[_INFO_COLUMN])
        if result.alleles:
            added = format_info(result.alleles, ranked=self._ranked)
            parts[_INFO_COLUMN] = append_info(parts[_INFO_COLUMN], added)
        self.write_line(b"\t".join(parts))


class _DeclaredNames:
    """The names that a header declares. BCF stores the index of a declaration instead of the name."""

    def __init__(self, header: VcfHeader) -> None:
        self._source = header.source
        others = {"contig": (), "FILTER": ("PASS", "."), "INFO": (".",), "FORMAT": (".",)}
        self._known = {kind: {*header.declared(kind), *names} for kind, names in others.items()}

    def check(self, record: Record) -> None:
        """Raise OutputError if the record has a contig, a FILTER, or a key that is not declared."""
        parts = record.line.split(b"\t", 9)
        found = {
            "contig": parts[:1],
            "FILTER": parts[6].split(b";"),
            "INFO": [pair.partition(b"=")[0] for pair in parts[_INFO_COLUMN].split(b";") if pair],
            "FORMAT": parts[8].split(b":") if len(parts) > 8 else [],
        }
        for kind, names in found.items():
            for name in names:
                text = name.decode("utf-8", "surrogateescape")
                if text not in self._known[kind]:
                    raise OutputError(
                        f"{self._source} record {record.index}, {record.chrom}:{record.pos1} cannot be written as BCF\n"
                        f"found {kind} {text!r}, which the header does not declare",
                        hint="write .vcf.gz instead, or add the line to the input's header with `bcftools annotate -h`",
                    )


def _convert_to_bcf(text: Path, bcf: Path) -> None:
    """Convert the VCF at `text` to BCF with bcftools: `pysam.VariantFile` adds INFO/END to symbolic alleles."""
    try:
        pysam.bcftools.view("--no-version", "-Ob", "-o", str(bcf), str(text), catch_stdout=False)
    except pysam.SamtoolsError as error:
        raise OutputError(
            f"the records cannot be written as BCF\n{error}", hint="write .vcf.gz instead"
        ) from error


def check_header(header: VcfHeader) -> None:
    """Refuse a header that htslib cannot read: bcftools could not open the file.

    Raises:
        InputError: htslib refuses it.
    """
    with tempfile.NamedTemporaryFile(suffix=".vcf") as file, quiet_htslib():
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
    """Make the index: `.csi` for BCF; for VCF `.tbi`, or `.csi` if positions are too large for that.

    Args:
        path: the file, bgzipped.
        name: its final name, which tells BCF from VCF; named in the warning if no index can be made.
    """
    preset: Any = "bcf" if name.endswith(".bcf") else "vcf"  # pysam's types lack "bcf"
    with quiet_htslib():
        for csi in (False, True):
            with contextlib.suppress(OSError):
                pysam.tabix_index(str(path), preset=preset, force=True, csi=csi)
                return
            for suffix in INDEX_SUFFIXES:  # an incomplete index
                path.with_name(path.name + suffix).unlink(missing_ok=True)
    _log.warning("%s: no index could be made; its records are not sorted by contig and position", name)
