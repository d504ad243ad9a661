"""Read the scores of one file by allele: a VCF of any program, or a table by allele of `vepscore score --table`.

The text of a field of SpliceAI's form counts as its largest delta score, of all genes of the allele:

    SpliceAI, OpenSpliceAI    ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|…, separated by commas
    Pangolin                  GENE|POSITION:GAIN|POSITION:LOSS|Warnings:…, separated by commas

If an allele is in several records, as in files with a line for each gene, the score that is largest in size counts.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from vepscore.errors import InputError
from vepscore.evaluate.changes import Change
from vepscore.evaluate.judged_alleles import DEFAULT_SCORE, check_scored, locate_change
from vepscore.evaluate.truth import Excluded
from vepscore.genome.consistency import check_files
from vepscore.genome.fasta import Reference
from vepscore.io.fields import MISSING, STATUS
from vepscore.io.header import contigs_of_header
from vepscore.io.info_values import InfoValues
from vepscore.io.records import Record, open_records
from vepscore.io.suffixes import ALLELE_TABLE_SUFFIXES

_COLUMNS = ("chrom", "pos", "ref", "alt", STATUS.id)  # of a table
_DELTAS = slice(2, 6)  # of the parts of SpliceAI's text
_WARNINGS = "Warnings:"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoredFile:
    """The scores of a file."""

    path: str
    fields: tuple[str, ...]
    scores: dict[Change, tuple[float, ...]]  # finite; one for each field
    unscored: dict[Change, str]  # alleles without one of the scores, and why

    def reason(self, change: Change) -> str:
        """Return why an allele has no score, for one that has none."""
        return self.unscored.get(change, "not in the file")


class _Row(NamedTuple):
    """An allele as the file has it."""

    chrom: str
    pos1: int
    ref: str
    alt: str
    status: str
    scores: tuple[float, ...]  # NaN if missing


def is_allele_table(path: str) -> bool:
    """Return whether a file is a table by allele, by its suffix; otherwise it is a VCF or BCF."""
    return path.endswith(ALLELE_TABLE_SUFFIXES)


def read_scored_file(path: str, reference: Reference, scores: Sequence[str] | None) -> ScoredFile:
    """Read the scores of a file.

    Args:
        path: a VCF, a BCF, or a table by allele.
        reference: the genome.
        scores: fields to read, those of them that the file has; None for the first of VS_SPLICE, SpliceAI,
            OpenSpliceAI and Pangolin.

    Raises:
        InputError: the file cannot be read, has none of the fields, or a value is malformed.
    """
    fields, rows = _read_table(path, scores) if is_allele_table(path) else _read_vcf(path, reference, scores)
    scored: dict[Change, tuple[float, ...]] = {}
    unscored: dict[Change, str] = {}
    for row in rows:
        try:
            change = locate_change(reference, row.chrom, row.pos1, row.ref, row.alt)
        except Excluded:
            continue  # excluded with the truth, which has the same REF
        try:
            check_scored(row.status, fields, row.scores)
        except Excluded as reason:
            unscored.setdefault(change, str(reason))
        else:
            before = scored.get(change, row.scores)
            scored[change] = tuple(max(pair, key=abs) for pair in zip(before, row.scores, strict=True))
    return ScoredFile(path=path, fields=fields, scores=scored, unscored=unscored)


def spliceai_delta(text: str, alt: str) -> float:
    """Return the largest delta score of an ALT in a text of SpliceAI; NaN if there is none.

    Raises:
        ValueError: the text is not of that form.
    """
    entries = [entry.split("|") for entry in text.split(",")]
    if any(len(entry) < _DELTAS.stop for entry in entries):
        raise ValueError("expected ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|…")
    scores = [value for entry in entries if entry[0].upper() == alt.upper() for value in entry[_DELTAS]]
    return max((float(score) for score in scores if score != MISSING), default=math.nan)


def pangolin_delta(text: str, alt: str) -> float:
    """Return the largest size of a score in a text of Pangolin, which has one ALT; NaN if there is none.

    Raises:
        ValueError: the text is not of that form.
    """
    del alt
    parts = [part for entry in text.split(",") for part in entry.split("|")[1:]]
    scores = [part.rpartition(":")[2] for part in parts if ":" in part and not part.startswith(_WARNINGS)]
    return max((abs(float(score)) for score in scores if score not in (MISSING, "NA")), default=math.nan)


_TEXTS: dict[str, Callable[[str, str], float]] = {
    "SpliceAI": spliceai_delta,
    "OpenSpliceAI": spliceai_delta,
    "Pangolin": pangolin_delta,
}


_DEFAULTS = (DEFAULT_SCORE, *_TEXTS)


def _choose(path: str, present: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(field for field in wanted if field in present))
    if not found:
        raise InputError(
            f"{path}\nhas none of the scores {', '.join(wanted)}; it has {', '.join(present) or 'no fields'}",
            hint="name its field with --score; a table must be one of `vepscore score --table`",
        )
    return found[:1] if wanted is _DEFAULTS else found


def _read_vcf(
    path: str, reference: Reference, scores: Sequence[str] | None
) -> tuple[tuple[str, ...], list[_Row]]:
    with open_records(path) as records:
        values = InfoValues(records.header)
        fields = _choose(path, list(records.header.declared("INFO")), scores or _DEFAULTS)
        check_files(header=contigs_of_header(records.header), reference=reference)
        return fields, [row for record in records for row in _record_rows(values, record, fields)]


def _record_rows(values: InfoValues, record: Record, fields: Sequence[str]) -> Iterator[_Row]:
    info = values.read(record)
    statuses = values.texts(record, info, STATUS.id)
    columns = [_numbers(values, record, info, field) for field in fields]
    for index, alt in enumerate(record.alts):
        scores = tuple(column[index] for column in columns)
        yield _Row(record.chrom, record.pos1, record.ref, alt, statuses[index], scores)


def _numbers(values: InfoValues, record: Record, info: dict[str, str], field: str) -> list[float]:
    if field not in _TEXTS:
        return values.numbers(record, info, field)
    text = info.get(field) or MISSING
    try:
        return [math.nan if text == MISSING else _TEXTS[field](text, alt) for alt in record.alts]
    except ValueError as error:
        raise InputError(f"{values.where(record)}\n{field} is {text[:60]!r}\n{error}") from error


def _read_table(path: str, scores: Sequence[str] | None) -> tuple[tuple[str, ...], list[_Row]]:
    try:
        table = _open_table(path)
        fields = _choose(path, list(map(str, table.columns)), scores or _DEFAULTS[:1])
        missing = [name for name in _COLUMNS if name not in table.columns]
        if missing:
            raise InputError(
                f"{path}\nhas no column {', '.join(missing)}, expected a table by allele",
                hint="write one with `vepscore score --table`, or pass the annotated VCF",
            )
        columns = [pd.to_numeric(table[field]).astype(float) for field in fields]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from error
    rows = [
        _Row(str(chrom), int(pos), str(ref), str(alt), str(status), numbers)
        for (chrom, pos, ref, alt, status), numbers in zip(
            table[list(_COLUMNS)].itertuples(index=False), zip(*columns, strict=True), strict=True
        )
    ]
    return fields, rows


def _open_table(path: str) -> pd.DataFrame:
    if path.endswith(".parquet"):
        return pd.read_parquet(Path(path))
    texts = {"chrom": str, "ref": str, "alt": str}
    return pd.read_csv(path, sep="\t", comment="#", dtype=texts, keep_default_na=False, na_values=[""])
