"""Test gained and lost splice sites of each gene, and their positions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.scorers.cases import RESOLUTIONS, WINDOW, allele, read_annotation, run, shapes
from vepscore.contract import GeneSite, ScoreMatrix
from vepscore.genome.annotation import Annotation
from vepscore.genome.windows import Window
from vepscore.outputs import EVENT_KINDS
from vepscore.scorers.splice_events import SPLICE_EVENTS
from vepscore.scorers.splicing import SPLICE_SITES

STRANDS = "++--"  # of the tracks donor+, acceptor+, donor-, acceptor-
DONOR_PLUS, ACCEPTOR_PLUS, DONOR_MINUS, ACCEPTOR_MINUS = range(4)


@pytest.fixture
def site(annotation: Annotation) -> GeneSite:
    """An SNV that PLUS (500-2500 in the window) and MINUS (1900-3900) overlap."""
    return GeneSite(allele=allele(12_048), window=WINDOW, annotation=annotation, resolutions=RESOLUTIONS)


def at(site: GeneSite, pos0: int, ref: str, alt: str) -> GeneSite:
    return GeneSite(
        allele=allele(pos0, ref, alt), window=WINDOW, annotation=site.annotation, resolutions=RESOLUTIONS
    )


Changes = Sequence[tuple[int, int, float]]  # position in the window, track, value


def signal(changes: Changes = (), base: float = 0.0) -> np.ndarray:
    """Return a signal (4096, 4) with these changes."""
    values = np.full((4096, 4), base, np.float32)
    for position, track, value in changes:
        values[position, track] = value
    return values


def events(matrix: ScoreMatrix) -> dict[tuple[str, str], tuple[float, int]]:
    """Return score and 0-based position by gene and event."""
    assert matrix.labels == EVENT_KINDS * (len(matrix.genes) // 4)
    assert ((~np.isnan(matrix.values)).sum(axis=1) == 1).all()
    rows = zip(matrix.genes, matrix.labels, np.nansum(matrix.values, axis=1), matrix.positions, strict=True)
    return {(gene.gene_id, label): (float(score), int(pos0)) for gene, label, score, pos0 in rows}


def test_reads_where_splice_sites_does(site: GeneSite) -> None:
    ours, theirs = SPLICE_EVENTS.footprint(site), SPLICE_SITES.footprint(site)
    np.testing.assert_array_equal(ours.positions, theirs.positions)
    np.testing.assert_array_equal(ours.masks["body"], theirs.masks["body"])
    assert (ours.aligned, ours.genes) == (theirs.aligned, theirs.genes)


def test_each_event_of_each_gene_with_its_position(site: GeneSite) -> None:
    reference = signal(base=0.5)
    changes = [
        (600, ACCEPTOR_PLUS, 0.75),
        (700, ACCEPTOR_PLUS, 0.25),
        (2499, DONOR_PLUS, 1.0),  # the last base of PLUS
        (500, DONOR_PLUS, 0.125),  # and its first
        (2000, DONOR_MINUS, 0.625),
        (2600, DONOR_MINUS, 0.4375),
        (499, ACCEPTOR_PLUS, 1.0),  # outside of every gene
        (1899, DONOR_MINUS, 1.0),
        (3900, ACCEPTOR_MINUS, 0.0),
    ]
    matrix = run(SPLICE_EVENTS, site, reference, signal(changes, base=0.5), STRANDS)
    assert events(matrix) == {
        ("PLUS", "acceptor_gain"): (0.25, 10_600),
        ("PLUS", "acceptor_loss"): (-0.25, 10_700),
        ("PLUS", "donor_gain"): (0.5, 12_499),
        ("PLUS", "donor_loss"): (-0.375, 10_500),
        ("MINUS", "acceptor_gain"): (0, -1),
        ("MINUS", "acceptor_loss"): (0, -1),
        ("MINUS", "donor_gain"): (0.125, 12_000),
        ("MINUS", "donor_loss"): (-0.0625, 12_600),
    }
    assert matrix.values.dtype == np.float32 and matrix.positions.dtype == np.int64


def test_score_stands_in_the_track_of_its_site(site: GeneSite) -> None:
    matrix = run(SPLICE_EVENTS, site, signal(), signal(), STRANDS)
    tracks = np.argmax(~np.isnan(matrix.values), axis=1).tolist()
    assert tracks == [ACCEPTOR_PLUS] * 2 + [DONOR_PLUS] * 2 + [ACCEPTOR_MINUS] * 2 + [DONOR_MINUS] * 2
    assert not np.signbit(matrix.values[~np.isnan(matrix.values)]).any()


def test_first_of_equal_changes_counts(site: GeneSite) -> None:
    changes = [(900, DONOR_PLUS, 0.5), (800, DONOR_PLUS, 0.5)]
    matrix = run(SPLICE_EVENTS, site, signal(), signal(changes), STRANDS)
    assert events(matrix)["PLUS", "donor_gain"] == (0.5, 10_800)


# The reference has a donor at 12,048, the base before what changes, and one at 13,000, right of it.
@pytest.mark.parametrize(
    ("ref", "alt", "alternate", "gain", "loss"),
    [
        pytest.param("A", "ACGT", [(2050, 0.75), (3003, 1)], (0.25, 12_048), (0, -1), id="inside insertion"),
        pytest.param(
            "A", "ACGT", [(2048, 0.5), (3003, 0.5)], (0, -1), (-0.5, 13_000), id="right of insertion"
        ),
        pytest.param(
            "ACGT", "A", [(2048, 0.5), (2997, 0.25)], (0, -1), (-0.75, 13_000), id="right of deletion"
        ),
        pytest.param(
            "ACGT", "A", [(2049, 0.25), (2048, 0.5), (2997, 1)], (0.25, 12_052), (0, -1), id="after deletion"
        ),
        pytest.param(
            "AC", "TGG", [(2050, 0.75), (2048, 0.5), (3001, 1)], (0.75, 12_049), (0, -1), id="delins"
        ),
    ],
)
def test_positions_of_indels_are_those_of_the_reference(
    site: GeneSite, ref: str, alt: str, alternate: Changes, gain: tuple[float, int], loss: tuple[float, int]
) -> None:
    reference = signal([(2048, DONOR_MINUS, 0.5), (3000, DONOR_MINUS, 1)])
    changed = signal([(position, DONOR_MINUS, value) for position, value in alternate])
    found = events(run(SPLICE_EVENTS, at(site, 12_048, ref, alt), reference, changed, STRANDS))
    assert (found["MINUS", "donor_gain"], found["MINUS", "donor_loss"]) == (gain, loss)


def test_deleted_site_is_lost_where_it_was(site: GeneSite) -> None:
    reference = signal([(2050, ACCEPTOR_MINUS, 0.5)])
    found = events(run(SPLICE_EVENTS, at(site, 12_048, "ACGT", "A"), reference, signal(), STRANDS))
    assert found["MINUS", "acceptor_loss"] == (-0.5, 12_050)


def test_what_an_insertion_pushes_out_of_the_window_is_not_lost(site: GeneSite) -> None:
    window = Window(chrom="chr1", start0=9_416, end0=13_512)  # MINUS continues past its end
    insertion = GeneSite(
        allele=allele(12_048, "A", "ACG"), window=window, annotation=site.annotation, resolutions=RESOLUTIONS
    )
    reference = signal([(4095, DONOR_MINUS, 0.5), (4093, DONOR_MINUS, 0.25)])
    found = events(run(SPLICE_EVENTS, insertion, reference, signal(), STRANDS))
    assert found["MINUS", "donor_loss"] == (-0.25, 13_509)


def test_gene_without_strand_has_no_events(tmp_path: Path) -> None:
    annotation = read_annotation(tmp_path, {"STRANDLESS": ("protein_coding", ".", [[(12_000, 12_700)]])})
    assert (
        SPLICE_EVENTS.footprint(
            GeneSite(allele=allele(12_048), window=WINDOW, annotation=annotation, resolutions=RESOLUTIONS)
        )
        is None
    )


def test_outside_genes_there_is_nothing_to_score(site: GeneSite) -> None:
    assert SPLICE_EVENTS.footprint(at(site, 14_000, "A", "C")) is None


def test_shapes_do_not_depend_on_the_allele(site: GeneSite) -> None:
    others = [at(site, 12_470, "AC", "A"), at(site, 12_048, "A", "A" + "C" * 40)]
    assert {str(shapes(SPLICE_EVENTS.footprint(each))) for each in (site, *others)} == {
        str(shapes(SPLICE_EVENTS.footprint(site)))
    }
