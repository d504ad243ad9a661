"""A ranking as text: tab-separated for programs, a few columns for a terminal.

TSV: `##key=value` lines, the column names, a row per ranked allele, then those that were not scored, without a rank.
"""

import math
from collections.abc import Iterator

from vepscore.genome.regions import VariantText
from vepscore.io.fields import format_float
from vepscore.io.info import encode
from vepscore.report.ranking import RankedAllele, Ranking
from vepscore.report.scored_alleles import Entry, ScoredAllele
from vepscore.report.words import describe_event

_BEFORE = ("rank", "chrom", "pos", "id", "ref", "alt", "status")
_AFTER = ("quantile", "gene", "gene_id", "track", "tissue", "maxima", "event", "event_gene", "event_in_words")
_LAST = ("record", "alt_index")
_SHOWN_ALLELE = 20  # characters of REF and ALT on a terminal


def tsv_lines(ranking: Ranking) -> Iterator[str]:
    """The lines of the TSV, without their ends; a missing value is an empty cell."""
    yield from ranking.provenance
    yield f"##rankAlleles={len(ranking.rows)} of {ranking.alleles}, {len(ranking.unscored)} not scored"
    yield f"##rankExcluded={exclusions_in_words(ranking) or 'none'}"
    yield "\t".join((*_BEFORE, ranking.modality.field, *_AFTER, *_LAST))
    for row in ranking.rows:
        yield "\t".join(map(_cell, _row_cells(row)))
    for allele in ranking.unscored:
        empty = [""] * (1 + len(_AFTER))
        yield "\t".join(map(_cell, ["", *_place(allele), *empty, str(allele.record), str(allele.alt_index)]))


def exclusions_in_words(ranking: Ranking) -> str:
    """How many alleles were left out, by reason."""
    return "; ".join(f"{count} {reason}" for reason, count in ranking.excluded.items())


def terminal_columns(ranking: Ranking) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Column names and rows for people; columns that are empty throughout are left out."""
    names = ("rank", "variant", ranking.modality.field, "quantile", "gene", "track", "tissue", "event")
    rows = [_short_cells(row) for row in ranking.rows]
    used = [i for i, name in enumerate(names) if name == "variant" or any(row[i] for row in rows)]
    return tuple(names[i] for i in used), [tuple(row[i] for i in used) for row in rows]


def variant_in_words(allele: ScoredAllele | VariantText) -> str:
    """Contig, 1-based position and alleles, long ones cut."""
    ref, alt = (
        text if len(text) <= _SHOWN_ALLELE else f"{text[:_SHOWN_ALLELE]}…({len(text)})"
        for text in (allele.ref, allele.alt)
    )
    return f"{allele.chrom}:{allele.pos1} {ref}>{alt}"


def _row_cells(row: RankedAllele) -> list[str]:
    found, allele = row.measure, row.allele
    lead = found.parts[0] if found.parts else Entry(scorer="", score=math.nan)
    return [
        str(row.rank),
        *_place(allele),
        format_float(found.value, missing=""),
        format_float(found.quantile, missing=""),
        found.gene or lead.symbol,
        next((part.gene_id for part in found.parts if part.symbol == found.gene), lead.gene_id),
        lead.track,
        lead.tissue,
        ",".join(map(_maximum, found.parts)),
        str(row.event.kind) if row.event else "",
        row.event_gene,
        describe_event(row.event) if row.event else "",
        str(allele.record),
        str(allele.alt_index),
    ]


def _maximum(entry: Entry) -> str:
    """As in the INFO field VS, but without the allele."""
    texts = (entry.scorer, entry.gene_id, entry.symbol, format_float(entry.score), entry.track, entry.tissue)
    return "|".join(map(encode, texts))


def _short_cells(row: RankedAllele) -> tuple[str, ...]:
    lead = row.measure.parts[0] if row.measure.parts else Entry(scorer="", score=math.nan)
    event = describe_event(row.event) if row.event else ""
    if event and row.event_gene != (row.measure.gene or lead.symbol):
        event = f"{row.event_gene}: {event}"
    return (
        str(row.rank),
        variant_in_words(row.allele),
        format_float(row.measure.value, missing=""),
        format_float(row.measure.quantile, missing=""),
        row.measure.gene or lead.symbol,
        lead.track,
        lead.tissue,
        event,
    )


def _place(allele: ScoredAllele) -> list[str]:
    identifier = "" if allele.id == "." else allele.id
    return [allele.chrom, str(allele.pos1), identifier, allele.ref, allele.alt, allele.status]


def _cell(text: str) -> str:
    """What would end a cell or start a comment is percent-encoded."""
    return "".join(f"%{ord(char):02X}" if char in "\t\r\n#" else char for char in text)
