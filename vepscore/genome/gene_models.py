"""Genes, transcripts and exons as tables, assembled from the lines of a GTF.

Transcripts without a line of their own are made from their exons, and genes from their transcripts. One id
may stand at several loci (the pseudoautosomal regions, RefSeq's copies). Those stay separate: a line belongs
to the line of its parent's id that it overlaps on its own contig and strand.

Coordinates are 0-based and half-open.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

STRANDS = np.array(["+", "-", "."])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Genes:
    """One row per gene and locus, by contig and then in the order of the file. Every array has shape (N,)."""

    chrom: np.ndarray  # int32, ascending: index into the contigs
    start0: np.ndarray  # int64, 0-based
    end0: np.ndarray  # int64, exclusive
    strand: np.ndarray  # str: "+", "-" or "."
    gene_id: np.ndarray  # str, as the file gives it, with its version if it has one
    name: np.ndarray  # str; the gene_id where the file gives no name
    type: np.ndarray  # str, e.g. "protein_coding"; "" where it is not known


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transcripts:
    """One row per transcript and locus, ordered as the genes are. Every array has shape (N,)."""

    chrom: np.ndarray  # int32, ascending: index into the contigs
    start0: np.ndarray  # int64, 0-based
    end0: np.ndarray  # int64, exclusive
    strand: np.ndarray  # str: "+", "-" or "."
    transcript_id: np.ndarray  # str; "" where the file leaves it empty
    gene: np.ndarray  # int32: row of the gene


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exons:
    """One row per exon of a transcript, by transcript and then by start. Every array has shape (N,)."""

    transcript: np.ndarray  # int32, ascending: row of the transcript
    start0: np.ndarray  # int64, 0-based
    end0: np.ndarray  # int64, exclusive


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneModels:
    """What a GTF says, as tables that point to one another by row."""

    contigs: tuple[str, ...]  # the file's own contig names, in order of appearance
    genes: Genes
    transcripts: Transcripts
    exons: Exons


class Spans(NamedTuple):
    """Lines of one feature, or what was made in their place. Every array has shape (N,), int64."""

    key: np.ndarray  # what they belong to: rows with one key share id, contig and strand
    start0: np.ndarray
    end0: np.ndarray
    line: np.ndarray  # number in the file of the line, or of the first line that it was made from


@dataclasses.dataclass(frozen=True, kw_only=True)
class GtfLines:
    """The gene, transcript and exon lines of a GTF, with ids, contigs and strands interned as keys."""

    contigs: Sequence[str]  # in order of appearance
    gene_keys: Sequence[tuple[str, int, int]]  # by key of a gene: gene_id, contig's index, strand's index
    transcript_keys: Sequence[tuple[int, str]]  # by key of a transcript: key of its gene, transcript_id
    names: Mapping[str, str]  # by gene_id
    types: Mapping[str, str]  # by gene_id
    genes: Spans  # keys of genes
    transcripts: Spans  # keys of transcripts
    exons: Spans  # keys of transcripts


def assemble(lines: GtfLines) -> GeneModels:
    """Tables from lines: what is missing is made, and each row knows its parent's row."""
    gene_ids, contigs, strands = map(np.array, zip(*lines.gene_keys, strict=True))
    gene_of_key = np.array([gene for gene, _ in lines.transcript_keys], np.int64)
    transcript_ids = np.array([name for _, name in lines.transcript_keys], np.str_)

    transcripts, transcript_row = _adopt(lines.exons, lines.transcripts, lines.exons.key)
    transcript_key = transcripts.key
    transcripts = transcripts._replace(key=gene_of_key[transcript_key])
    loci = merge_spans(transcripts.key, transcripts.start0, transcripts.end0)[0]
    genes, gene_row = _adopt(transcripts, lines.genes, loci)

    gene_order = np.lexsort((genes.line, contigs[genes.key]))
    transcript_order = np.lexsort((transcripts.line, contigs[transcripts.key]))
    transcript_row = _inverse(transcript_order)[transcript_row]
    exon_order = np.lexsort((lines.exons.start0, transcript_row))
    gene_id = gene_ids[genes.key[gene_order]]
    return GeneModels(
        contigs=tuple(lines.contigs),
        genes=Genes(
            **_place(genes, gene_order, contigs, strands),
            gene_id=gene_id,
            name=np.array([lines.names[name] for name in gene_id.tolist()]),
            type=np.array([lines.types[name] for name in gene_id.tolist()]),
        ),
        transcripts=Transcripts(
            **_place(transcripts, transcript_order, contigs, strands),
            transcript_id=transcript_ids[transcript_key[transcript_order]],
            gene=_inverse(gene_order)[gene_row[transcript_order]].astype(np.int32),
        ),
        exons=Exons(
            transcript=transcript_row[exon_order].astype(np.int32),
            start0=lines.exons.start0[exon_order],
            end0=lines.exons.end0[exon_order],
        ),
    )


def merge_spans(group: np.ndarray, start0: np.ndarray, end0: np.ndarray) -> tuple[np.ndarray, ...]:
    """Join the intervals of a group that overlap or touch.

    Args:
        group: (N,) integers ≥ 0; intervals of different groups are never joined.
        start0: (N,), 0-based.
        end0: (N,), exclusive.

    Returns:
        For each given interval the index of the merged one that holds it, then group, start0 and end0 of the
        M merged intervals (int64), by group and then by start.
    """
    if not len(group):
        return (np.zeros(0, np.int64),) * 4
    shift = group.astype(np.int64) << 40  # puts the groups side by side on one line
    order = np.argsort(shift + start0, kind="stable")
    start, end = (shift + start0)[order], (shift + end0)[order]
    reach = np.maximum.accumulate(end)
    first = np.concatenate([[True], start[1:] > reach[:-1]])
    last = np.concatenate([first[1:], [True]])
    merged = np.empty(len(order), np.int64)
    merged[order] = np.cumsum(first) - 1
    merged_group = group[order][first].astype(np.int64)
    return merged, merged_group, start[first] - (merged_group << 40), reach[last] - (merged_group << 40)


def _parents(children: Spans, parents: Spans) -> np.ndarray:
    """For each child the row of the parent that has its key and overlaps it, -1 where there is none.

    Parents of one key must not overlap one another.
    """
    if not len(parents.key):
        return np.full(len(children.key), -1)
    place = (parents.key << 40) + parents.start0
    order = np.argsort(place, kind="stable")
    row = order[np.searchsorted(place[order], (children.key << 40) + children.end0, side="left") - 1]
    fits = (parents.key[row] == children.key) & (parents.end0[row] > children.start0)
    return np.where(fits & (parents.start0[row] < children.end0), row, -1)


def _adopt(children: Spans, parents: Spans, joined: np.ndarray) -> tuple[Spans, np.ndarray]:
    """Parents, with those added that some children lack, and for each child the row of its parent.

    Args:
        children: their keys are those of their parents.
        parents: the lines of the file; those of one key that overlap become one.
        joined: (N,) which children share a parent when none of the file's fits.
    """
    parents = _united(parents)
    row = _parents(children, parents)
    orphans = np.flatnonzero(row < 0)
    _, first, group = np.unique(joined[orphans], return_index=True, return_inverse=True)
    made = Spans(
        children.key[orphans][first],
        _reduce(np.minimum, group, children.start0[orphans]),
        _reduce(np.maximum, group, children.end0[orphans]),
        _reduce(np.minimum, group, children.line[orphans]),
    )
    row[orphans] = len(parents.key) + group
    return Spans(*map(np.concatenate, zip(parents, made, strict=True))), row


def _united(spans: Spans) -> Spans:
    merged, key, start0, end0 = merge_spans(spans.key, spans.start0, spans.end0)
    return Spans(key, start0, end0, _reduce(np.minimum, merged, spans.line))


def _reduce(function: np.ufunc, group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`function` over the values of each group; groups count from 0 and none is empty."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max(initial=-1) + 1))
    return function.reduceat(values[order], starts) if len(starts) else values[:0]


def _place(
    spans: Spans, order: np.ndarray, contigs: np.ndarray, strands: np.ndarray
) -> dict[str, np.ndarray]:
    return {
        "chrom": contigs[spans.key[order]].astype(np.int32),
        "start0": spans.start0[order],
        "end0": spans.end0[order],
        "strand": STRANDS[strands[spans.key[order]]],
    }


def _inverse(order: np.ndarray) -> np.ndarray:
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return inverse
