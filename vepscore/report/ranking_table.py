"""A ranking as a table: a DataFrame, tab-separated text, or a few columns for a terminal.

TSV: `##key=value` lines, the column names, a row for each ranked allele, then the alleles that were not scored, which
have no rank.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vepscore.genome.regions import VariantText
from vepscore.io.fields import format_float
from vepscore.io.info import encode
from vepscore.report.ranking import RankedAllele, Ranking
from vepscore.report.scored_alleles import Entry, ScoredAllele

if TYPE_CHECKING:
    import pandas as pd

Value = str | int | float | None
_SHOWN_ALLELE = 20  # characters of REF and ALT on a terminal


def ranking_frame(ranking: Ranking) -> "pd.DataFrame":
    """Return a row for each ranked allele with the columns of the TSV, then those that were not scored.

    `pos` is 1-based; `rank` is missing for alleles that were not scored.
    """
    import pandas as pd

    frame = pd.DataFrame(list(_table_rows(ranking)), columns=_columns(ranking))
    return frame.astype({"rank": "Int64", ranking.modality.field: float, "quantile": float})


def tsv_lines(ranking: Ranking) -> Iterator[str]:
    """Yield the lines of the TSV, without line ends; a missing value is an empty cell."""
    yield from ranking.provenance
    yield f"##rankAlleles={len(ranking.rows)} of {ranking.alleles}, {len(ranking.unscored)} not scored"
    yield f"##rankExcluded={exclusions_in_words(ranking) or 'none'}"
    yield "\t".join(_columns(ranking))
    for values in _table_rows(ranking):
        yield "\t".join(map(_cell, values))


def exclusions_in_words(ranking: Ranking) -> str:
    """Return how many alleles were excluded, by reason."""
    return "; ".join(f"{count} {reason}" for reason, count in ranking.excluded.items())


def terminal_columns(ranking: Ranking) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return column names and rows for people, without columns that are empty throughout."""
    names = ("rank", "variant", ranking.modality.field, "quantile", "gene", "track", "tissue", "event")
    rows = [_short_cells(row) for row in ranking.rows]
    used = [i for i, name in enumerate(names) if name == "variant" or any(row[i] for row in rows)]
    return tuple(names[i] for i in used), [tuple(row[i] for i in used) for row in rows]


def variant_in_words(allele: ScoredAllele | VariantText) -> str:
    """Return contig, 1-based position and alleles; long alleles are cut."""
    ref, alt = (
        text if len(text) <= _SHOWN_ALLELE else f"{text[:_SHOWN_ALLELE]}…({len(text)})"
        for text in (allele.ref, allele.alt)
    )
    return f"{allele.chrom}:{allele.pos1} {ref}>{alt}"


def _columns(ranking: Ranking) -> list[str]:
    return [
        *("rank", "chrom", "pos", "id", "ref", "alt", "status", ranking.modality.field, "quantile"),
        *("gene", "gene_id", "track", "tissue", "maxima", "event", "event_gene", "event_in_words"),
        *("record", "alt_index"),
    ]


def _table_rows(ranking: Ranking) -> Iterator[list[Value]]:
    rows: list[tuple[ScoredAllele, int | None, list[Value]]]
    rows = [(row.allele, row.rank, _score_values(row)) for row in ranking.rows]
    rows += [(allele, None, [None, None, *[""] * 8]) for allele in ranking.unscored]
    for allele, rank, values in rows:
        identifier = "" if allele.id == "." else allele.id
        place = (allele.chrom, allele.pos1, identifier, allele.ref, allele.alt, allele.status)
        yield [rank, *place, *values, allele.record, allele.alt_index]


def _score_values(row: RankedAllele) -> list[Value]:
    found, first = row.measure, row.strongest
    gene_id = next((part.gene_id for part in found.parts if part.gene == found.gene), first.gene_id)
    return [
        *(found.value, found.quantile, row.gene, gene_id, first.track, first.tissue),
        ",".join(map(_maximum, found.parts)),
        str(row.event.kind) if row.event else "",
        row.event_gene,
        row.event_in_words,
    ]


def _maximum(entry: Entry) -> str:
    """Return an entry as in the INFO field VS, but without the allele."""
    texts = (entry.scorer, entry.gene_id, entry.gene, format_float(entry.score), entry.track, entry.tissue)
    return "|".join(map(encode, texts))


def _short_cells(row: RankedAllele) -> tuple[str, ...]:
    event = row.event_in_words
    if event and row.event_gene != row.gene:
        event = f"{row.event_gene}: {event}"
    return (
        str(row.rank),
        variant_in_words(row.allele),
        format_float(row.measure.value, missing=""),
        format_float(row.measure.quantile, missing=""),
        row.gene,
        row.strongest.track,
        row.strongest.tissue,
        event,
    )


def _cell(value: Value) -> str:
    """Return a value as text, with characters that would end the cell or start a comment percent-encoded."""
    if value is None:
        return ""
    text = format_float(value, missing="") if isinstance(value, float) else str(value)
    return "".join(f"%{ord(char):02X}" if char in "\t\r\n#" else char for char in text)
