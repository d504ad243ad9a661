"""The rules of the published programs, against the same written plainly; a sum of the bases stands for the networks."""

import functools
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from tests.builders import GENES, TinyGenome, build_genome, sequences
from tests.networks.dilated.plain_programs import (
    PlainAllele,
    PlainGene,
    PlainProgram,
    cispliceai,
    pangolin,
    spliceai,
)
from vepscore.contract import GeneSite
from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Annotation
from vepscore.genome.windows import Window, encode_bases
from vepscore.model.network import DeltaRules
from vepscore.networks.dilated.cispliceai_deltas import CISpliceAIDeltas
from vepscore.networks.dilated.delta_scores import DeltaScorer
from vepscore.networks.dilated.dilated_config import PangolinConfig
from vepscore.networks.dilated.pangolin_deltas import PangolinDeltas
from vepscore.networks.dilated.spliceai_deltas import SpliceAIDeltas
from vepscore.networks.dilated.strand_predictor import Stretch
from vepscore.outputs import EVENT_KINDS

MARGIN = 9
RULES = {
    "far": DeltaRules(distance_bp=230),
    "far, masked": DeltaRules(distance_bp=230, masked=True),
    "near, masked": DeltaRules(distance_bp=3, masked=True),  # so that the ends of what is predicted count
}
TISSUES = REPLICATES = 2
WEIGHTS = np.random.default_rng(0).integers(-9, 10, (2 * MARGIN + 1, 5, TISSUES * REPLICATES))
WEIGHTS[:, 4] = 0  # N

ALLELES = {  # 0-based position on chr1, length of REF, and ALT after REF's first base, or "!" and the whole of it
    "SNV in two genes": (16_000, 1, "!C"),
    "SNV beside an exon": (17_151, 1, "!A"),
    "SNV as far from two ends of exons": (17_075, 1, "!C"),
    "first base of a gene": (15_500, 1, "!A"),
    "last base of a gene": (17_999, 1, "!C"),
    "in a gene without introns, within another": (15_000, 1, "!A"),
    "insertion": (17_160, 1, "GATTACA"),
    "long insertion": (15_520, 1, "ACGT" * 10),
    "deletion": (12_300, 6, ""),
    "deletion over a gene's end": (17_995, 9, ""),
    "deletion longer than the distance": (16_990, 240, ""),
    "REF longer than twice the distance": (16_990, 470, ""),
    "as many bases": (16_999, 3, "!GGG"),
    "fewer bases": (16_999, 5, "!GG"),
    "more bases": (17_148, 3, "!CATTG"),
    "in no gene": (21_000, 1, "!A"),
    "deletion in no gene": (21_000, 4, ""),
    "beside N": (24_010, 2, "!AC"),
    "near the contig's start": (203, 1, "!A"),
    "window that ends with the contig": (29_760, 1, "!A"),
    "window that ends a base later": (29_761, 1, "!A"),
    "near the contig's end": (29_790, 1, "!A"),
    "insertion near the contig's end": (29_790, 1, "CAT"),
}


def predict(codes: np.ndarray) -> np.ndarray:
    """Return values of a strand's bases without margins: multiples of 1/64, which many are equal to."""
    windows = np.lib.stride_tricks.sliding_window_view(codes, len(WEIGHTS))
    sums = WEIGHTS[np.arange(len(WEIGHTS)), windows].sum(axis=1)
    return (sums % 61 / 64).astype(np.float32)


class PlainPredictor:
    """Predicts whole stretches."""

    def predict(self, stretch: Stretch) -> tuple[np.ndarray, np.ndarray]:
        reference, alternate = (
            self._predict(codes, stretch.strand) for codes in (stretch.reference, stretch.alternate)
        )
        return reference[stretch.slack : len(reference) - stretch.slack], alternate

    def _predict(self, codes: np.ndarray, strand: str) -> np.ndarray:
        return predict(codes) if strand == "+" else predict(np.where(codes < 4, 3 - codes, 4)[::-1])[::-1]


@pytest.fixture(scope="module")
def annotation(tmp_path_factory: pytest.TempPathFactory) -> Annotation:
    genome: TinyGenome = build_genome(tmp_path_factory.mktemp("genome"))
    return Annotation.from_gtf(genome.gtf, tmp_path_factory.mktemp("cache"))


def site_of(annotation: Annotation, name: str) -> GeneSite:
    pos0, ref_bp, alt = ALLELES[name]
    contig = sequences()["chr1"]
    ref = contig[pos0 : pos0 + ref_bp]
    return GeneSite(
        allele=Allele(chrom="chr1", pos0=pos0, ref=ref, alt=alt[1:] if alt[:1] == "!" else ref[0] + alt),
        window=Window(chrom="chr1", start0=pos0 - 2_000, end0=pos0 + 2_000),
        annotation=annotation,
        contig_bp=len(contig),
    )


def entries_of(scorer: DeltaScorer, site: GeneSite) -> list[str]:
    """Return the entries of an allele; none if it is refused."""
    if scorer.refusal(site):
        assert scorer.footprint(site) is None
        return []
    first, end = site.window.start0 - MARGIN, site.window.end0 + MARGIN
    contig = sequences()["chr1"]
    bases = "N" * max(-first, 0) + contig[max(first, 0) : end] + "N" * max(end - len(contig), 0)
    matrix = scorer.score_window(site, encode_bases(bases.encode()))
    rows = len(matrix.entries) * (2 if isinstance(scorer, PangolinDeltas) else len(EVENT_KINDS))
    assert len(matrix.values) == len(matrix.genes) == rows
    assert (np.isfinite(matrix.values).sum(axis=1) == 1).all()
    return list(matrix.entries)


PROGRAMS: dict[str, tuple[type[DeltaScorer], Callable[[PlainProgram, PlainAllele], Iterator[str]], int]] = {
    "SpliceAI": (SpliceAIDeltas, spliceai, 2),
    "CI-SpliceAI": (CISpliceAIDeltas, cispliceai, 2),
    "Pangolin": (PangolinDeltas, functools.partial(pangolin, replicates=REPLICATES), TISSUES * REPLICATES),
}


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", ALLELES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_entries_are_those_of_the_program(
    monkeypatch: pytest.MonkeyPatch, annotation: Annotation, program: str, name: str, rules: str
) -> None:
    kind, plain, values = PROGRAMS[program]
    monkeypatch.setattr(f"{__name__}.WEIGHTS", WEIGHTS[..., :values])
    config = PangolinConfig(tissues=TISSUES, replicates=REPLICATES)
    distance_bp, masked = RULES[rules].distance_bp, RULES[rules].masked
    scorer = kind(SimpleNamespace(margin_bp=MARGIN, config=config), RULES[rules])
    vars(scorer)["_predictor"] = PlainPredictor()
    genes = [
        PlainGene(
            gene if program == "Pangolin" else gene.title(),
            strand,
            [[(start0 + 1, end0) for start0, end0 in exons] for exons in transcripts],
        )
        for gene, (contig, _, strand, transcripts) in GENES.items()
        if contig == "chr1"
    ]
    site = site_of(annotation, name)
    contig = "".join(base if base in "ACGT" else "N" for base in sequences()["chr1"])
    allele = PlainAllele(contig, site.allele.pos0 + 1, site.allele.ref, site.allele.alt)
    expected = plain(
        PlainProgram(genes, lambda bases: predict(encode_bases(bases.encode())), MARGIN, distance_bp, masked),
        allele,
    )
    assert entries_of(scorer, site) == list(expected)
