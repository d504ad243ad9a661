"""The header of a VCF: parse it, and add the annotation's lines to it."""

import collections
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

from vepscore.errors import InputError
from vepscore.genome.consistency import ContigSource
from vepscore.io.fields import DETAIL, FIELD_IDS, STATUS, value_fields
from vepscore.io.meta_lines import parse_meta_line

FIXED_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
FIRST_SAMPLE_COLUMN = len(FIXED_COLUMNS) + 1  # after FORMAT
PROVENANCE_PREFIX = "##vepscore"
# Source: the VCF 4.3 specification, 1.4.7.
_CONTIG_NAME = re.compile(r"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VcfHeader:
    """The lines of a header, without line ends. Bytes that are not UTF-8 are surrogates, which `encode` restores."""

    meta: tuple[str, ...]  # lines that start with "##"
    columns: str  # the line that starts with "#CHROM"
    source: str = dataclasses.field(default="", compare=False)  # name of the file, for messages

    @property
    def column_count(self) -> int:
        """Return the number of columns of each record."""
        return self.columns.count("\t") + 1

    @property
    def samples(self) -> tuple[str, ...]:
        """Return the names of the samples, in column order."""
        return tuple(self.columns.split("\t")[FIRST_SAMPLE_COLUMN:])

    def declared(self, kind: str) -> dict[str, str]:
        """Return the meta lines of one kind ("INFO", "FILTER", "FORMAT", "contig") by ID, in order.

        If an ID is declared twice, the first line counts, as in htslib.
        """
        lines: dict[str, str] = {}
        for line, fields in self._structured(kind):
            lines.setdefault(fields["ID"], line)
        return lines

    def definitions(self, kind: str) -> dict[str, dict[str, str]]:
        """Return the keys and values of each declared ID of one kind, such as Number and Type of an INFO field."""
        definitions: dict[str, dict[str, str]] = {}
        for _, fields in self._structured(kind):
            definitions.setdefault(fields["ID"], fields)
        return definitions

    def _structured(self, kind: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the lines of one kind with an ID, and their keys and values."""
        for line in self.meta:
            fields = parse_meta_line(line, kind)
            if fields is not None and fields.get("ID"):
                yield line, fields

    def with_annotation(
        self,
        *,
        provenance: Mapping[str, str],
        contigs: Mapping[str, int],
        body_contigs: Iterable[str] | None = None,
        overwrite: bool = False,
        ranked: bool = False,
    ) -> Self:
        """Return the header of the annotated VCF: missing contigs, our INFO definitions and provenance come last.

        Args:
            provenance: values by key, written as `##key=value`; the keys start with "vepscore".
            contigs: the reference's contigs and lengths in bp, by the names that this VCF uses.
            body_contigs: the contigs of the records (`records.scan_records`). If all of them are declared already, no
                contig line is added. None if unknown (standard input).
            overwrite: remove the annotation of an earlier run instead of refusing it.
            ranked: whether the run has background quantiles, which have fields of their own.

        Raises:
            InputError: the input is annotated already, and `overwrite` is false.
        """
        kept = self._unannotated(overwrite)
        added = kept._missing_contigs(contigs, body_contigs)
        added += [field.header_line for field in (STATUS, *value_fields(ranked=ranked), DETAIL)]
        added += provenance_lines(provenance)
        return dataclasses.replace(self, meta=(*kept.meta, *added))

    def encode(self) -> bytes:
        """Return the header as the bytes of a file."""
        lines = "".join(f"{line}\n" for line in (*self.meta, self.columns))
        return lines.encode("utf-8", "surrogateescape")

    def _unannotated(self, overwrite: bool) -> Self:
        found = [
            (fields["ID"], line) for line, fields in self._structured("INFO") if fields["ID"] in FIELD_IDS
        ]
        if not overwrite:
            if found:
                raise InputError(
                    f"{self.source}\nthe header declares {', '.join(dict(found))}, expected a VCF without these fields",
                    hint="score the original file, or replace the fields with --overwrite-existing",
                )
            return self
        ours = {line for _, line in found}
        kept = (line for line in self.meta if line not in ours and not line.startswith(PROVENANCE_PREFIX))
        return dataclasses.replace(self, meta=tuple(kept))

    def _missing_contigs(self, contigs: Mapping[str, int], body_contigs: Iterable[str] | None) -> list[str]:
        declared = self.declared("contig")
        body = None if body_contigs is None else list(dict.fromkeys(body_contigs))
        if body is not None and all(name in declared for name in body):
            return []
        known = [f"##contig=<ID={name},length={bp}>" for name, bp in contigs.items() if name not in declared]
        unknown = [name for name in body or () if name not in declared and name not in contigs]
        return known + [f"##contig=<ID={name}>" for name in unknown if _CONTIG_NAME.fullmatch(name)]


def provenance_lines(provenance: Mapping[str, str]) -> list[str]:
    """Return `##key=value` lines; line breaks within values become spaces."""
    return [f"##{key}={' '.join(value.splitlines())}" for key, value in provenance.items()]


def parse_header(lines: Iterable[str], name: str) -> VcfHeader:
    """Parse the header at the start of `lines`, and consume only its lines.

    Raises:
        InputError: `lines` does not start with a VCF header, or ends within it.
    """
    meta: list[str] = []
    for line in lines:
        if not meta and not line.startswith("##fileformat=VCF"):
            raise InputError(
                f"{name} line 1\nfound {line[:60]!r}, expected ##fileformat=VCFv4.x",
                hint="give a VCF (plain, gzip or bgzip) or a BCF",
            )
        if "\0" in line:
            raise InputError(f"{name} line {len(meta) + 1}\nfound a NUL byte, expected text")
        if not line.startswith("##"):
            _check_columns(line, f"{name} line {len(meta) + 1}")
            return VcfHeader(meta=tuple(meta), columns=line, source=name)
        meta.append(line)
    raise InputError(f"{name}\nends before the line that starts with #CHROM")


def _check_columns(line: str, where: str) -> None:
    """Refuse what htslib refuses: other columns, FORMAT without samples, missing or duplicate sample names."""
    if not line.startswith("#CHROM"):
        raise InputError(f"{where}\nfound {line[:60]!r}, expected the line that starts with #CHROM")
    columns = line.split("\t")
    expected = f"{' '.join(FIXED_COLUMNS)}, with one tab between each"
    if tuple(columns[:8]) != FIXED_COLUMNS:
        raise InputError(f"{where}\nfound {line[:80]!r}\nexpected {expected}")
    if len(columns) == 8:
        return
    expected = "INFO as the last column, or FORMAT and the names of samples after it"
    samples = columns[FIRST_SAMPLE_COLUMN:]
    if columns[8] != "FORMAT":
        found = f"the column {columns[8][:40]!r} after INFO instead of FORMAT\nexpected {expected}"
        hint = "remove the columns and tabs after INFO in that line, or add FORMAT"
    elif not samples:
        found = f"FORMAT without a sample\nexpected {expected}"
        hint = "remove FORMAT from that line, or add the names of the samples"
    elif not all(name.strip() for name in samples):
        found = f"a sample without a name\nexpected {expected}"
        hint = "remove the tabs at the end of that line, or name every sample"
    elif len(set(samples)) < len(samples):
        ((twice, _),) = collections.Counter(samples).most_common(1)
        found = f"two samples named {twice!r}, expected distinct names"
        hint = "rename one of them in that line"
    else:
        return
    raise InputError(f"{where}\nfound {found}", hint=hint)


def contigs_of_header(header: VcfHeader) -> ContigSource:
    """Return the declared contigs, their lengths if given, and the stated assembly."""
    declared = header.definitions("contig")
    lengths = {name: fields.get("length", "") for name, fields in declared.items()}
    stated = {"assembly": stated_assembly(header), "reference": _meta_value(header, "reference")}
    return ContigSource(
        file=f"header of {Path(header.source).name}",
        contigs=tuple(declared),
        lengths={name: int(text) for name, text in lengths.items() if text.isascii() and text.isdigit()},
        stated=", ".join(f"{key}={value}" for key, value in stated.items() if value),
    )


def stated_assembly(header: VcfHeader) -> str:
    """Return the assembly that the contig lines name, or else `##assembly`; "" if there is neither."""
    for fields in header.definitions("contig").values():
        if fields.get("assembly"):
            return fields["assembly"]
    return _meta_value(header, "assembly")


def _meta_value(header: VcfHeader, key: str) -> str:
    lines = (line.removeprefix(f"##{key}=") for line in header.meta if line.startswith(f"##{key}="))
    return next(lines, "")
