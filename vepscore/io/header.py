"""The header of a VCF: what the input said, and what is added to it."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Self

from vepscore.errors import InputError
from vepscore.io.fields import DETAIL, FIELD_IDS, STATUS, value_fields

FIXED_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
PROVENANCE_PREFIX = "##vepscore"
_ID = re.compile(r"[<,]ID=([^,>]+)")
# Source: the VCF 4.3 specification, 1.4.7.
_CONTIG_NAME = re.compile(r"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VcfHeader:
    """Lines without their ends; bytes that are not UTF-8 are surrogates, so that `encode` restores them."""

    meta: tuple[str, ...]  # the lines that start with "##"
    columns: str  # the line that starts with "#CHROM"
    source: str = dataclasses.field(default="", compare=False)  # name of the file, for messages

    @property
    def column_count(self) -> int:
        """How many columns each record has."""
        return self.columns.count("\t") + 1

    def declared(self, kind: str) -> dict[str, str]:
        """ID to line of the meta lines of one kind ("INFO", "FILTER", "FORMAT", "contig"), in their order."""
        lines = {}
        for line in self.meta:
            if line.startswith(f"##{kind}=<") and (match := _ID.search(line)):
                lines[match[1]] = line
        return lines

    def with_annotation(
        self,
        *,
        provenance: Mapping[str, str],
        contigs: Mapping[str, int],
        body_contigs: Iterable[str] | None = None,
        overwrite: bool = False,
        ranked: bool = False,
    ) -> Self:
        """The header of the annotated VCF: missing contigs, our INFO definitions and provenance come last.

        Args:
            provenance: key to value, written as `##key=value`; the keys start with "vepscore".
            contigs: the reference's contigs and lengths in bp, under the names that this VCF uses for them.
            body_contigs: the contigs that the records are on (`records.scan_records`). When all of them are
                declared already, no contig line is added. None where this is not known (standard input).
            overwrite: take out the annotation of an earlier run rather than refuse it.
            ranked: the run has background quantiles, and so their fields.

        Raises:
            InputError: the input is annotated already, and `overwrite` is false.
        """
        kept = self._unannotated(overwrite)
        added = kept._missing_contigs(contigs, body_contigs)
        added += [field.header_line for field in (STATUS, *value_fields(ranked=ranked), DETAIL)]
        added += provenance_lines(provenance)
        return dataclasses.replace(self, meta=(*kept.meta, *added))

    def encode(self) -> bytes:
        """The header as it stands in a file."""
        lines = "".join(f"{line}\n" for line in (*self.meta, self.columns))
        return lines.encode("utf-8", "surrogateescape")

    def _unannotated(self, overwrite: bool) -> Self:
        found = {name: line for name, line in self.declared("INFO").items() if name in FIELD_IDS}
        if not overwrite:
            if found:
                raise InputError(
                    f"{self.source}\nthe header declares {', '.join(found)}, expected a VCF without our fields",
                    hint="score the original file, or replace them with --overwrite-existing",
                )
            return self
        ours = set(found.values())
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
    """`##key=value` lines; a value never breaks its line."""
    return [f"##{key}={' '.join(value.splitlines())}" for key, value in provenance.items()]


def parse_header(lines: Iterable[str], name: str) -> VcfHeader:
    """The header at the start of `lines`, of which it takes what belongs to it.

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
    columns = tuple(line.split("\t"))
    if columns[:8] == FIXED_COLUMNS:
        return
    if not line.startswith("#CHROM"):
        raise InputError(f"{where}\nfound {line[:60]!r}, expected the line that starts with #CHROM")
    raise InputError(
        f"{where}\nfound {line[:80]!r}\nexpected {' '.join(FIXED_COLUMNS)}, with one tab between each"
    )
