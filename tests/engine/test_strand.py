"""Scores on the minus strand equal a plain computation, and those of the plus strand of the mirrored genome."""

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from tests.builders import CONTIGS, TinyGenome, gtf_text, sequences, vcf_row
from tests.engine.alleles import INDELS, ROWS, prepare
from tests.engine.comparison import assert_scores_close, score_in_batches, scores_of
from tests.engine.plain import COUNTERPARTS, PlainScorer, Scores
from vepscore.contract import Footprint, ScoreMatrix, Scorer, Site, pad_positions
from vepscore.engine.dense import DenseEngine
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.errors import CheckpointError
from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.genome.polya import PolyASites
from vepscore.genome.windows import Window, allele_sequences
from vepscore.model.allele_plan import ReadyAllele
from vepscore.model.checkpoint import Checkpoint
from vepscore.outputs import Output, Tracks

COMPLEMENT = str.maketrans("ACGTRYN", "TGCAYRN")
FLIPPED = {"+": "-", "-": "+"}

SNVS = {
    "in two genes": ("chr1", 16_000),
    "in an exon of the plus strand": ("chr1", 12_200),
    "past the contig's start": ("chr1", 450),
    "past the contig's end": ("chr1", 29_600),
    "past both ends": ("chr3", 3_050),
}
# A stretch of bins around a variant, and cuts between bases, do not lie the same way on both strands.
LOPSIDED = (Output.DNASE, Output.CHIP_TF, Output.CHIP_HISTONE)


@pytest.fixture(scope="session")
def minus(engine: DenseEngine, paired_checkpoint: Checkpoint) -> DenseEngine:
    return DenseEngine(paired_checkpoint, engine.scorers, strand="-")


@pytest.fixture(scope="session")
def plain_minus(paired_checkpoint: Checkpoint) -> PlainScorer:
    return PlainScorer(paired_checkpoint, strand="-")


@pytest.mark.parametrize("kind", ROWS)
def test_scores_equal_the_plain_computation(
    minus: DenseEngine, plain_minus: PlainScorer, preparer: AllelePreparer, kind: str
) -> None:
    (allele,) = prepare(preparer, ROWS[kind])
    assert_scores_close(scores_of(minus.score([allele])[0]), plain_minus.score(allele))


@pytest.mark.parametrize("kind", ["insertion", "deletion over three genes", "long insertion"])
def test_indels_in_two_windows_equal_the_plain_computation(
    minus: DenseEngine, plain_minus: PlainScorer, both_preparer: AllelePreparer, kind: str
) -> None:
    (allele,) = prepare(both_preparer, INDELS[kind])
    assert_scores_close(scores_of(minus.score([allele])[0]), plain_minus.score(allele))


def test_batches_change_no_score(minus: DenseEngine, preparer: AllelePreparer) -> None:
    alleles = prepare(preparer, ROWS["insertion"], ROWS["past the contig's start"])
    batched = copy.copy(minus)
    batched.batch = 2
    for allele, matrices in zip(alleles, score_in_batches(batched, alleles), strict=True):
        assert_scores_close(scores_of(matrices), scores_of(minus.score([allele])[0]))


@pytest.mark.parametrize("kind", SNVS)
def test_minus_strand_is_the_plus_strand_of_the_mirrored_genome(
    minus: DenseEngine,
    plus: DenseEngine,
    preparer: AllelePreparer,
    mirrored_preparer: AllelePreparer,
    kind: str,
) -> None:
    (allele,) = prepare(preparer, vcf_row(*SNVS[kind], 1, "~"))
    found, expected = (
        symmetric_scores(matrices)
        for matrices in (minus.score([allele])[0], plus.score([mirror_allele(allele, mirrored_preparer)])[0])
    )
    assert_scores_close(found, mirror_scores(expected, CONTIGS[allele.site.allele.chrom]))
    if kind == "in two genes":
        assert len(found) == 14


@pytest.fixture(scope="session")
def plus(engine: DenseEngine, paired_checkpoint: Checkpoint) -> DenseEngine:
    return DenseEngine(paired_checkpoint, engine.scorers)


@pytest.fixture(scope="session")
def mirrored_preparer(
    preparer: AllelePreparer, genome: TinyGenome, tmp_path_factory: pytest.TempPathFactory
) -> AllelePreparer:
    """Prepare alleles of the reverse complement of the tiny genome, with its annotation mirrored."""
    folder = tmp_path_factory.mktemp("mirrored")
    fasta, gtf, polya = folder / "mirrored.fa", folder / "mirrored.gtf", folder / "mirrored.tsv"
    fasta.write_text(
        "".join(f">{name}\n{reverse_complement_text(bases)}\n" for name, bases in sequences().items())
    )
    gtf.write_text("".join(f"{mirror_gtf_line(line)}\n" for line in gtf_text().splitlines()))
    header, *sites = genome.polya.read_text().splitlines()
    polya.write_text("".join(f"{line}\n" for line in (header, *map(mirror_polya_line, sites))))
    return dataclasses.replace(
        preparer,
        reference=Reference(fasta, folder / "cache"),
        annotation=Annotation.from_gtf(gtf, folder / "cache"),
        polya=PolyASites.from_tsv(polya),
    )


def reverse_complement_text(bases: str) -> str:
    return bases.translate(COMPLEMENT)[::-1]


def mirror_gtf_line(line: str) -> str:
    fields = line.split("\t")
    mirrored = (CONTIGS[fields[0]] + 1 - int(position1) for position1 in (fields[4], fields[3]))
    return "\t".join([*fields[:3], *map(str, mirrored), fields[5], FLIPPED[fields[6]], *fields[7:]])


def mirror_polya_line(line: str) -> str:
    gene, chrom, start0, strand = line.split("\t")
    return "\t".join([gene, chrom, str(CONTIGS[chrom] - 1 - int(start0)), FLIPPED[strand]])


def mirror_allele(allele: ReadyAllele, preparer: AllelePreparer) -> ReadyAllele:
    """Return the allele in the mirrored genome, in the same window; its own window there would be one base further."""
    place, window = allele.site.allele, allele.site.window
    length = CONTIGS[place.chrom]
    return place_allele(
        Allele(
            chrom=place.chrom,
            pos0=length - place.end0,
            ref=reverse_complement_text(place.ref),
            alt=reverse_complement_text(place.alt),
        ),
        Window(chrom=window.chrom, start0=length - window.end0, end0=length - window.start0),
        preparer,
    )


def place_allele(allele: Allele, window: Window, preparer: AllelePreparer) -> ReadyAllele:
    reference_codes, alternate_codes = allele_sequences(preparer.reference, window, allele)
    return ReadyAllele(
        alt=allele.alt,
        n_fraction=0.0,
        site=dataclasses.replace(preparer.site(allele), window=window),
        reference_codes=reference_codes,
        alternates=(alternate_codes,),
    )


def symmetric_scores(matrices: Iterable[ScoreMatrix]) -> dict[str, Scores]:
    return scores_of(matrix for matrix in matrices if matrix.output not in LOPSIDED)


def mirror_scores(scores: Mapping[str, Scores], contig_bp: int) -> dict[str, Scores]:
    """Return scores of the mirrored genome under the tracks and junctions of the genome."""
    return {
        scorer: {mirror_row(row, contig_bp): mirror_tracks(scorer, values) for row, values in rows.items()}
        for scorer, rows in scores.items()
    }


def mirror_row(row: tuple[int | str, ...], contig_bp: int) -> tuple[int | str, ...]:
    """Swap and mirror a junction's ends; the kind of an event stays."""
    gene, places = row[:1], row[1:]
    if any(isinstance(place, str) for place in places):
        return row
    return *gene, *(contig_bp - position0 for position0 in reversed(places))


def mirror_tracks(scorer: str, values: np.ndarray) -> np.ndarray:
    outputs = {"POLYADENYLATION": "RNA_SEQ", "SPLICE_EVENTS": "SPLICE_SITES"}
    name = outputs.get(scorer, scorer.removesuffix("_ACTIVE"))
    return values[COUNTERPARTS.get(Output(name), slice(None))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signals(Scorer):
    """Return the signals in the first bins of the window, of the reference and then of the alternate."""

    name: str = "SIGNALS"
    output: Output
    bins: int
    aligned: bool

    def footprint(self, site: Site) -> Footprint:
        return Footprint(positions=pad_positions(np.arange(self.bins)), masks={}, aligned=self.aligned)

    def score(self, reference: Any, alternate: Any, masks: Mapping[str, Any]) -> Any:
        return jnp.concatenate([reference[: self.bins], alternate[: self.bins]])

    def rows(self, scores: Any, footprint: Footprint, site: Site, tracks: Tracks) -> ScoreMatrix:
        values = scores.reshape(-1, len(tracks))
        return ScoreMatrix(scorer=self.name, output=self.output, values=values, genes=(None,) * len(values))


def read_signals(scorer: Signals, engine: DenseEngine, allele: ReadyAllele) -> np.ndarray:
    copied = copy.copy(engine)
    copied.scorers = copied._of_positions = (scorer,)
    ((matrix,),) = copied.score([allele])
    return matrix.values


@pytest.mark.parametrize("alt", ["~", "~GT"])
@pytest.mark.parametrize("position", [0, 5])
def test_cuts_are_counted_before_a_base_of_the_plus_strand(
    minus: DenseEngine, plain_minus: PlainScorer, preparer: AllelePreparer, position: int, alt: str
) -> None:
    """This holds at the start of the window and at an insertion too."""
    window = Window(chrom="chr1", start0=9_000, end0=9_000 + preparer.window_bp)
    chrom, pos1, _, ref, alt = vcf_row("chr1", 9_000 + position, 1, alt)
    allele = place_allele(Allele(chrom=chrom, pos0=int(pos1) - 1, ref=ref, alt=alt), window, preparer)
    found = read_signals(Signals(output=Output.DNASE, bins=16, aligned=True), minus, allele)
    signals = plain_minus.predict(allele).signals(Output.DNASE)
    np.testing.assert_allclose(found, np.concatenate([signal[:16] for signal in signals]), rtol=1e-5)
    assert (found[0] == 0).all()
    assert (found[1:16] > 0).all()


def test_contact_maps_are_mirrored_along_both_axes(
    minus: DenseEngine, plain_minus: PlainScorer, preparer: AllelePreparer
) -> None:
    (allele,) = prepare(preparer, ROWS["deletion"])
    bins = preparer.window_bp // 2048
    found = read_signals(Signals(output=Output.CONTACT_MAPS, bins=bins, aligned=False), minus, allele)
    case = plain_minus.predict(allele)
    expected = [prediction.tracks[Output.CONTACT_MAPS] for prediction in (case.reference, case.alternate)]
    np.testing.assert_allclose(found, np.reshape(expected, found.shape), rtol=1e-4, atol=1e-5)


def test_tracks_without_strand_partners_are_refused(checkpoint: Checkpoint) -> None:
    message = r"^SPLICE_SITE_USAGE cannot .* 2 tracks on \+ and 1 on -\n"
    with pytest.raises(CheckpointError, match=message):
        DenseEngine(checkpoint, load_scorers(["SPLICE_SITE_USAGE"]), strand="-")
    DenseEngine(checkpoint, load_scorers(["DNASE"]), strand="-")
