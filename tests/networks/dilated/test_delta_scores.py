"""The delta scores of SpliceAI, against the same computed plainly from whole predictions."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.builders import TinyGenome, build_genome, sequences
from tests.networks.dilated.small import MARGIN_BP, SPLICEAI
from vepscore.contract import GeneSite
from vepscore.errors import UsageError
from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Annotation, Gene
from vepscore.genome.windows import UNKNOWN, Window, encode_bases
from vepscore.model.network import DeltaRules, one_hot
from vepscore.networks.dilated.delta_scores import align_alternate
from vepscore.networks.dilated.splice_networks import SpliceAI
from vepscore.networks.dilated.spliceai_deltas import SpliceAIDeltas
from vepscore.outputs import EVENT_KINDS, SPLICE_CLASSES, Output

DISTANCE = 20
PLACES = (15_505, 16_000, 17_601)  # next to the end of a gene; in two genes; in an exon


def values(*numbers: float) -> np.ndarray:
    """Return values of one class."""
    return np.array(numbers, np.float32)[:, None]


@pytest.mark.parametrize(
    ("alternate", "inserted_bp", "expected"),
    [
        ((1, 2, 3, 4, 5), 0, (1, 2, 3, 4, 5)),
        ((1, 2, 3, 9, 4, 5), 1, (1, 2, 9, 4, 5)),  # POS is the third; the inserted base has more
        ((1, 2, 3, 0, 0, 4, 5), 2, (1, 2, 3, 4, 5)),
        ((1, 2, 3, 5), -1, (1, 2, 3, 0, 5)),
        ((1, 2, 3), -2, (1, 2, 3, 0, 0)),
        ((1, 2), -3, (1, 2, 0, 0, 0)),  # more bases than the distance: POS itself gets a zero
    ],
)
def test_alternate_is_aligned(
    alternate: tuple[float, ...], inserted_bp: int, expected: tuple[float, ...]
) -> None:
    found = align_alternate(values(*alternate), 2, inserted_bp, zeros_at=3)
    assert found[:, 0].tolist() == list(expected)


@pytest.fixture(scope="module")
def network() -> SpliceAI:
    return SpliceAI(SPLICEAI, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> TinyGenome:
    return build_genome(tmp_path_factory.mktemp("genome"))


@pytest.fixture(scope="module")
def annotation(genome: TinyGenome, tmp_path_factory: pytest.TempPathFactory) -> Annotation:
    return Annotation.from_gtf(genome.gtf, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def deltas(network: SpliceAI) -> SpliceAIDeltas:
    return SpliceAIDeltas(network, DeltaRules(distance_bp=DISTANCE))


def site_of(annotation: Annotation, pos0: int, ref_bp: int, alt: str) -> GeneSite:
    """Return an allele on chr1 in a window whose predicted part is 1,000 bp wide; "~" is REF's first base."""
    ref = sequences()["chr1"][pos0 : pos0 + ref_bp]
    allele = Allele(chrom="chr1", pos0=pos0, ref=ref, alt=alt.replace("~", ref[0]))
    window = Window(chrom="chr1", start0=pos0 - 500, end0=pos0 + 500)
    return GeneSite(allele=allele, window=window, annotation=annotation)


def codes_of(site: GeneSite) -> np.ndarray:
    start0, end0 = site.window.start0 - MARGIN_BP, site.window.end0 + MARGIN_BP
    return encode_bases(sequences()["chr1"][start0:end0].encode())


def plain_scores(
    network: SpliceAI, site: GeneSite, gene: Gene, *, masked: bool
) -> dict[str, tuple[float, int]]:
    """Return score and offset of each kind of event, from whole predictions of both alleles."""
    allele, reach = site.allele, DISTANCE + MARGIN_BP
    contig = encode_bases(sequences()["chr1"].encode())
    inside = np.full_like(contig, UNKNOWN)
    inside[gene.start0 : gene.end0] = contig[gene.start0 : gene.end0]
    first, end = allele.pos0 - reach, allele.pos0 + reach + 1
    before, after = inside[first : allele.pos0], inside[allele.end0 : end]
    alternate = np.concatenate([before, encode_bases(allele.alt.encode()), after])
    reference, changed = (predict(network, codes, gene.strand) for codes in (inside[first:end], alternate))
    aligned = []
    for offset in range(-DISTANCE, DISTANCE + 1):
        index = offset + DISTANCE
        if offset == 0:
            inserted = max(allele.inserted_bp, 0)
            aligned.append(changed[index : index + inserted + 1].max(axis=0))
        elif 0 < offset <= -allele.inserted_bp:
            aligned.append(np.zeros(2))
        else:
            aligned.append(changed[index + (allele.inserted_bp if offset > 0 else 0)])
    change = np.stack(aligned) - reference
    nearest = min(boundaries(site, gene), key=lambda base: (abs(base - allele.pos0), base)) - allele.pos0
    scores = {}
    for kind in EVENT_KINDS:
        column = change[:, 0 if kind.startswith("donor") else 1] * (1 if kind.endswith("gain") else -1)
        offset = int(column.argmax()) - DISTANCE
        hidden = masked and (offset == nearest) == kind.endswith("gain")
        scores[kind] = 0.0 if hidden else float(column.max()), offset
    return scores


def predict(network: SpliceAI, codes: np.ndarray, strand: str) -> np.ndarray:
    """Return the values of donors and acceptors of one strand."""
    embedding = network.embed(one_hot(codes, jnp.float32)[None], np.int32(0), strands=strand)
    return np.asarray(network.predict(Output.SPLICE_SITES, embedding)[0])


def boundaries(site: GeneSite, gene: Gene) -> list[int]:
    exons = site.annotation.exons_of(gene)
    return sorted({*exons[:, 0].tolist(), *(exons[:, 1] - 1).tolist()})


CASES = {
    "SNV": (1, "C"),
    "insertion": (1, "~GATTACA"),
    "deletion": (4, "~"),
    "long insertion": (1, "~" + "ACGT" * 10),
}


@pytest.mark.parametrize(("kind", "masked"), [*((kind, False) for kind in CASES), ("SNV", True)])
def test_scores_are_those_of_whole_predictions(
    network: SpliceAI, annotation: Annotation, kind: str, masked: bool
) -> None:
    deltas = SpliceAIDeltas(network, DeltaRules(distance_bp=DISTANCE, masked=masked))
    for pos0 in PLACES:
        site = site_of(annotation, pos0, *CASES[kind])
        genes = site.annotation.genes_overlapping("chr1", pos0, pos0 + 1)
        matrix = deltas.score_window(site, codes_of(site))
        assert matrix.genes == tuple(gene for gene in genes for _ in EVENT_KINDS)
        for row, (gene, label) in enumerate(zip(matrix.genes, matrix.labels, strict=True)):
            score, offset = plain_scores(network, site, gene, masked=masked)[label]
            track = SPLICE_CLASSES.index(label.partition("_")[0] + gene.strand)
            expected = score if label.endswith("gain") else -score
            np.testing.assert_allclose(matrix.values[row, track], expected, atol=1e-6)
            assert matrix.positions[row] == pos0 + offset
            assert np.isnan(np.delete(matrix.values[row], track)).all()


def test_allele_of_several_bases_each_and_one_outside_of_genes_have_none(
    deltas: SpliceAIDeltas, annotation: Annotation
) -> None:
    assert deltas.footprint(site_of(annotation, PLACES[0], 2, "CC")) is None
    assert deltas.footprint(site_of(annotation, 3_000, 1, "C")) is None


def test_distance_that_does_not_fit_into_the_window_is_an_error(
    network: SpliceAI, annotation: Annotation
) -> None:
    site = site_of(annotation, PLACES[0], 1, "C")
    wide = SpliceAIDeltas(network, DeltaRules(distance_bp=600))
    with pytest.raises(UsageError, match="--spliceai-distance 600"):
        wide.score_window(site, codes_of(site))
