"""Variants that `evaluate_splicing.py` scores: labeled ones of ClinVar, and random ones by distance from exons.

Coordinates are 0-based and half-open.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from draw_background import Regions, Variant, draw_within

from vepscore.evaluate.changes import Change, Kind
from vepscore.evaluate.evaluation import choose_strata
from vepscore.evaluate.judged_alleles import read_judged_alleles
from vepscore.evaluate.strata import SpliceLocator, boundaries
from vepscore.evaluate.truth import Labels
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.genome.windows import UNKNOWN, encode_bases

SITE_BP = 50
EXON_BP = 1_000
STRATA = (
    f"within {SITE_BP} bp of a splice site",
    f"elsewhere within {EXON_BP // 1000} kb of an exon",
    "deep in introns",
)
KINDS = ("SNV", "indel")


class LabeledVariants(NamedTuple):
    """Variants of two classes."""

    variants: list[Variant]  # sorted
    positive: np.ndarray  # bool (N,)


class RandomVariants(NamedTuple):
    """Variants in genes of one strand."""

    variants: list[Variant]
    strand: np.ndarray  # int (N,): of the genes, 0 plus, 1 minus
    stratum: np.ndarray  # int (N,): index into STRATA


def kinds_of(variants: Sequence[Variant]) -> np.ndarray:
    """Return the kinds (N,), each one of KINDS."""
    return np.array([KINDS[len(each.ref) != len(each.alt)] for each in variants])


def take_fraction(count: int, fraction: float) -> np.ndarray:
    """Return indices of a random fraction, ascending and at least one; a larger fraction has those of a smaller one."""
    return np.sort(np.random.default_rng(0).permutation(count)[: int(np.ceil(fraction * count))])


def read_labeled(
    path: Path, reference: Reference, annotation: Annotation, chromosomes: Collection[str], fraction: float
) -> LabeledVariants:
    """Return the pathogenic and benign SNVs and indels of ClinVar up to SITE_BP from a splice site.

    Those of the canonical two bases are excluded. REF begins with the base before an indel.

    Raises:
        InputError: the file cannot be read, or has no such alleles on the chromosomes.
    """
    labels = Labels.parse("CLNSIG", "Pathogenic,Likely_pathogenic", "Benign,Likely_benign")
    read = read_judged_alleles(path, labels, reference, scores=(), chromosomes=tuple(chromosomes))
    locator = SpliceLocator(annotation)
    strata = choose_strata([locator.locate(case.change) for case in read.cases], SITE_BP)
    is_near = strata[f"within_{SITE_BP}_noncanonical"]
    found = {
        _anchored(reference, case.change): bool(case.truth)
        for case, chosen in zip(read.cases, is_near, strict=True)
        if chosen and case.change.kind is not Kind.OTHER
    }
    variants = sorted(found)
    variants = [variants[index] for index in take_fraction(len(variants), fraction)]
    return LabeledVariants(variants, np.array([found[each] for each in variants]))


def _anchored(reference: Reference, change: Change) -> Variant:
    start0 = change.start0 - (change.kind is Kind.INDEL)
    ref = reference.fetch(change.chrom, start0, change.end0).decode().upper()
    alt = ref[: change.start0 - start0] + change.alt
    return Variant(list(reference.contigs).index(change.chrom), start0, ref, alt)


def draw_random(
    reference: Reference,
    annotation: Annotation,
    chromosomes: Collection[str],
    *,
    snvs: int,
    indels: int,
    seed: int,
) -> RandomVariants:
    """Draw variants as `draw_background` does, as many in each of STRATA, where all genes have one strand.

    Raises:
        InputError: a stratum has too few known bases.
    """
    masks = {
        number: list(_stratum_masks(reference, annotation, name))
        for number, name in enumerate(reference.contigs)
        if name in chromosomes
    }
    variants, strands, strata = [], [], []
    for stratum in range(len(STRATA)):
        regions = _regions({number: mask[1 + stratum] for number, mask in masks.items()})
        drawn = draw_within(
            reference, regions, snvs=_part(snvs, stratum), indels=_part(indels, stratum), seed=seed + stratum
        )
        variants += drawn
        strands += [int(masks[each.contig][0][each.pos0]) for each in drawn]
        strata += [stratum] * len(drawn)
    order = sorted(range(len(variants)), key=lambda index: variants[index])
    return RandomVariants(
        [variants[index] for index in order], np.array(strands)[order], np.array(strata)[order]
    )


def _part(count: int, stratum: int) -> int:
    """Return the number of a stratum; all strata together have `count`."""
    return (count + stratum) // len(STRATA)


def _stratum_masks(reference: Reference, annotation: Annotation, chrom: str) -> Iterator[np.ndarray]:
    """Yield bool (bp,): whether genes are on the minus strand; then, for each stratum, whether a position is in it."""
    length = reference.contigs[chrom]
    on = np.zeros((2, length), bool)
    near_site, near_exon = np.zeros((2, length), bool)
    for gene in annotation.genes_overlapping(chrom, 0, length):
        if gene.strand in "+-":
            on["+-".index(gene.strand), gene.start0 : gene.end0] = True
        for start0, end0 in annotation.exons_of(gene):
            near_exon[max(start0 - EXON_BP, 0) : end0 + EXON_BP] = True
    for boundary in boundaries(*annotation.splice_sites(chrom, 0, length)):
        near_site[max(boundary - SITE_BP, 0) : boundary + SITE_BP] = True
    one_strand = on[0] ^ on[1]
    yield on[1]
    yield one_strand & near_site
    yield one_strand & near_exon & ~near_site
    yield one_strand & ~near_exon & ~near_site


def _regions(masks: dict[int, np.ndarray]) -> Regions:
    """Return the intervals in which masks are true, by the index of their contig."""
    parts = [np.zeros((3, 0), np.int64)]
    for contig, mask in sorted(masks.items()):
        ends = np.flatnonzero(np.diff(mask, prepend=False, append=False)).reshape(-1, 2)
        parts.append(np.stack([np.full(len(ends), contig), *ends.T]))
    return Regions(*np.concatenate(parts, axis=1))


def is_far_from_ends(reference: Reference, variant: Variant, flank_bp: int) -> bool:
    """Return whether all bases up to a distance on both sides of a variant are known."""
    chrom, length = list(reference.contigs.items())[variant.contig]
    start0, end0 = variant.pos0 - flank_bp, variant.pos0 + len(variant.ref) + flank_bp
    if start0 < 0 or end0 > length:
        return False
    return not np.any(encode_bases(reference.fetch(chrom, start0, end0)) == UNKNOWN)
