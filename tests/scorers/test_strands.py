"""Test which scorers of splicing read one strand, and that they then use no number of the other one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.scorers.cases import GENES, RESOLUTIONS, WINDOW, allele, make_tracks, read_annotation, score
from vepscore.contract import GeneScorer, GeneSite, Junctions, ScoreMatrix
from vepscore.genome.annotation import Annotation
from vepscore.outputs import Output
from vepscore.scorers.splice_events import SPLICE_EVENTS
from vepscore.scorers.splice_junctions import SPLICE_JUNCTIONS
from vepscore.scorers.splicing import SPLICE_SITE_USAGE, SPLICE_SITES

SCORERS = (SPLICE_SITES, SPLICE_SITE_USAGE, SPLICE_EVENTS, SPLICE_JUNCTIONS)
TRACK_STRANDS = {
    Output.SPLICE_SITES: "++--",
    Output.SPLICE_SITE_USAGE: "+-",
    Output.SPLICE_JUNCTIONS: "..",
}
POSITIONS = 4096


def site_at(annotation: Annotation, pos0: int) -> GeneSite:
    return GeneSite(allele=allele(pos0), window=WINDOW, annotation=annotation, resolutions=RESOLUTIONS)


def strands_read(annotation: Annotation, pos0: int) -> list[str | None]:
    """Return the strand of each scorer's footprint."""
    footprints = [scorer.footprint(site_at(annotation, pos0)) for scorer in SCORERS]
    return [footprint.strand for footprint in footprints if footprint is not None]


@pytest.mark.parametrize(
    ("pos0", "expected"),
    [
        pytest.param(10_700, ["+"] * 4, id="plus"),
        pytest.param(13_000, ["-"] * 4, id="minus"),
        pytest.param(12_048, [None] * 4, id="both"),
        pytest.param(12_550, [None, None, None, "-"], id="both, of which one is coding"),
    ],
)
def test_one_strand_is_read_if_all_genes_lie_on_it(
    annotation: Annotation, pos0: int, expected: list[str | None]
) -> None:
    assert strands_read(annotation, pos0) == expected


def test_gene_without_strand_is_not_taken_for_one_of_the_others_strand(tmp_path: Path) -> None:
    genes = {**GENES, "STRANDLESS": ("protein_coding", ".", [[(10_650, 10_750)]])}
    found = strands_read(read_annotation(tmp_path, genes), 10_700)
    assert found == [None, None, "+", "+"]  # the others exclude such genes


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.name)
@pytest.mark.parametrize(("pos0", "other"), [(10_700, 1), (13_000, 0)])
def test_other_strand_is_not_used(annotation: Annotation, scorer: GeneScorer, pos0: int, other: int) -> None:
    site = site_at(annotation, pos0)
    expected = run(scorer, site, missing=None)
    found = run(scorer, site, missing=other)
    assert found.values.tobytes() == expected.values.tobytes() and found.values.size
    np.testing.assert_equal(found.positions, expected.positions)
    np.testing.assert_equal(found.junctions, expected.junctions)
    assert np.nanmax(np.abs(found.values)) > 0


def run(scorer: GeneScorer, site: GeneSite, *, missing: int | None) -> ScoreMatrix:
    """Return the scores of random signals, which are NaN on the strand `missing`."""
    footprint = scorer.footprint(site)
    assert footprint is not None
    rng = np.random.default_rng(0)
    strands = TRACK_STRANDS[scorer.output]
    signals: list[Any] = []
    for _ in range(2):
        if scorer.output is Output.SPLICE_JUNCTIONS:
            counts = rng.random((16, 16, 2, len(strands)), np.float32)
            if missing is not None:
                counts[:, :, missing] = np.nan
            signals.append(Junctions(_sites(missing), counts))
        else:
            signal = rng.random((POSITIONS, len(strands)), np.float32)
            if missing is not None:
                signal[:, np.array(list(strands)) == "+-"[missing]] = np.nan
            signals.append(signal)
    tracks = make_tracks(scorer.output, strands)
    return scorer.rows(score(scorer, *signals, footprint), footprint, site, tracks)


def _sites(missing: int | None) -> np.ndarray:
    """Return two junctions of each strand; none of the strand `missing`."""
    sites = np.full((4, 16), -1, np.int32)
    sites[:, :2] = [[599, 699], [1000, 2300], [3000, 3800], [1999, 2100]]
    if missing is not None:
        sites[2 * missing : 2 * missing + 2] = -1
    return sites
