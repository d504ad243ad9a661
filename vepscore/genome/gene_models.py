"""Tables of genes, transcripts and exons, assembled from the lines of a GTF.

A transcript without a line is derived from its exons, and a gene without a line from its transcripts. One id may
occur at several loci (pseudoautosomal regions, RefSeq copies). These stay separate: the parent of a line is the line
with the parent's id that it overlaps on the same contig and strand.

Coordinates are 0-based and half-open.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

STRANDS = np.array(["+", "-", "."])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Genes:
    """One row per gene and locus, sorted by contig and then in file order. Every array has shape (N,)."""

    chrom: np.ndarray  # int32, ascending: index into the contigs
    start0: np.ndarray  # int64, 0-based
    end0: np.ndarray  # int64, exclusive
    strand: np.ndarray  # str: "+", "-" or "."
    gene_id: np.ndarray  # str, as in the file, with its version if it has one
    name: np.ndarray  # str; the gene_id if the file gives no name
    type: np.ndarray  # str, e.g. "protein_coding"; "" if unknown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transcripts:
    """One row per transcript and locus, sorted like the genes. Every array has shape (N,)."""

    chrom: np.ndarray  # int32, ascending: index into the contigs
    start0: np.ndarray  # int64, 0-based
    end0: np.ndarray  # int64, exclusive
    strand: np.ndarray  # str: "+", "-" or "."
    transcript_id: np.ndarray  # str; "" if empty in the file
    gene: np.ndarray  # int32: row of the gene


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exons:
    """One row per exon of a transcript, sorted by transcript and start. Every array has shape (N,)."""

    transcript: np.ndarray  # int32, ascending: row of the transcript
    start0: np.ndarray  # int64, 0-based
    end0: np.ndarray  # int64, exclusive


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneModels:
    """The content of a GTF, as tables that refer to one another by row."""

    contigs: tuple[str, ...]  # the file's own contig names, in order of appearance
    genes: Genes
    transcripts: Transcripts
    exons: Exons


class Spans(NamedTuple):
    """The intervals of one feature, from its lines or derived from others. Every array has shape (N,), int64."""

    key: np.ndarray  # the feature's gene or transcript: rows with the same key share id, contig and strand
    start0: np.ndarray
    end0: np.ndarray
    line: np.ndarray  # line number in the file, or that of the first line that the interval is derived from


@dataclasses.dataclass(frozen=True, kw_only=True)
class GtfLines:
    """The gene, transcript and exon lines of a GTF, with ids, contigs and strands interned as keys."""

    contigs: Sequence[str]  # in order of appearance
    gene_keys: Sequence[tuple[str, int, int]]  # by gene key: gene_id, indices of contig and strand
    transcript_keys: Sequence[tuple[int, str]]  # by transcript key: gene key, transcript_id
    names: Mapping[str, str]  # by gene_id
    types: Mapping[str, str]  # by gene_id
    genes: Spans  # with gene keys
    transcripts: Spans  # with transcript keys
    exons: Spans  # with transcript keys


def assemble(lines: GtfLines) -> GeneModels:
    """Assemble tables from lines: add missing parents, and link each row to its parent's row."""
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
            **_locus_columns(genes, gene_order, contigs, strands),
            gene_id=gene_id,
            name=np.array([lines.names[name] for name in gene_id.tolist()]),
            type=np.array([lines.types[name] for name in gene_id.tolist()]),
        ),
        transcripts=Transcripts(
            **_locus_columns(transcripts, transcript_order, contigs, strands),
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
    """Merge the intervals of a group that overlap or touch.

    Args:
        group: (N,) integers ≥ 0; intervals of different groups are never merged.
        start0: (N,), 0-based.
        end0: (N,), exclusive.

    Returns:
        (N,) the index of the merged interval that contains each interval; then group, start0 and end0 of the
        M merged intervals (int64), sorted by group and start.
    """
    if not len(group):
        return (np.zeros(0, np.int64),) * 4
    shift = group.astype(np.int64) << 40  # lays the groups out one after the other on one axis
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
    """Return the row of the parent that has each child's key and overlaps it, -1 if there is none.

    Parents with the same key must not overlap.
    """
    if not len(parents.key):
        return np.full(len(children.key), -1)
    position = (parents.key << 40) + parents.start0
    order = np.argsort(position, kind="stable")
    row = order[np.searchsorted(position[order], (children.key << 40) + children.end0, side="left") - 1]
    fits = (parents.key[row] == children.key) & (parents.end0[row] > children.start0)
    return np.where(fits & (parents.start0[row] < children.end0), row, -1)


def _adopt(children: Spans, parents: Spans, joined: np.ndarray) -> tuple[Spans, np.ndarray]:
    """Add the missing parents of children.

    Args:
        children: with the keys of their parents.
        parents: the lines of the file; overlapping ones with the same key are merged.
        joined: (N,), equal for children that share a parent if no parent of the file fits.

    Returns:
        The parents, and (N,) the row of each child's parent.
    """
    merged, key, start0, end0 = merge_spans(parents.key, parents.start0, parents.end0)
    parents = Spans(key, start0, end0, _reduce(np.minimum, merged, parents.line))
    row = _parents(children, parents)
    orphans = np.flatnonzero(row < 0)
    _, first, group = np.unique(joined[orphans], return_index=True, return_inverse=True)
    added = Spans(
        children.key[orphans][first],
        _reduce(np.minimum, group, children.start0[orphans]),
        _reduce(np.maximum, group, children.end0[orphans]),
        _reduce(np.minimum, group, children.line[orphans]),
    )
    row[orphans] = len(parents.key) + group
    return Spans(*map(np.concatenate, zip(parents, added, strict=True))), row


def _reduce(function: np.ufunc, group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Reduce the values of each group by `function`; groups are numbered from 0 and none is empty."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max(initial=-1) + 1))
    return function.reduceat(values[order], starts) if len(starts) else values[:0]


def _locus_columns(
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
