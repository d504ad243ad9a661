"""The table and the picture of a saturation mutagenesis, from results made by hand."""

import math
import pathlib
import re

import numpy as np
import pandas as pd
import pytest

from vepscore.genome.alleles import Status
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, Detail, RecordResult
from vepscore.io.saturation_figure import SaturationFigureWriter, draw_saturation
from vepscore.io.saturation_table import SaturationMatrix, SaturationWriter, largest_score

START0 = 1_000
REFERENCE = "ANGT"
SCORES = {0: (0.5, -1.0, 0.0), 2: (1.0, 2.0, 3.0)}  # by index in the region; T was not scored


def make_results() -> list[RecordResult]:
    results = []
    for index, scores in SCORES.items():
        ref = REFERENCE[index]
        alts = tuple(base for base in "ACGT" if base != ref)
        alleles = tuple(
            AlleleResult(
                alt=alt,
                status=Status.OK,
                fields={"VS_SPLICE": 2 * score, "VS_SPLICE_GENE": "BRCA1"},
                details=(
                    Detail(scorer="SPLICE_SITES", score=score, gene_id="G1", symbol="BRCA1", track="donor"),
                    Detail(scorer="SPLICE_SITES", score=score / 2, gene_id="G2", symbol="NBR2"),
                    Detail(scorer="DNASE", score=0.25, track="ENCFF1", biosample="liver"),
                ),
            )
            for alt, score in zip(alts, scores, strict=True)
        )
        results.append(RecordResult(record=record_at(index, alts), alleles=alleles))
    failed = AlleleResult(alt="A", status=Status.FAILED, reason="not finite")
    results.append(RecordResult(record=record_at(3, ("A",)), alleles=(failed,)))
    return results


def record_at(index: int, alts: tuple[str, ...]) -> Record:
    return Record(
        index=index,
        chrom="chr1",
        pos1=START0 + index + 1,
        id=".",
        ref=REFERENCE[index],
        alts=alts,
        line=b"",
    )


def draw(path: pathlib.Path, scorer: str = "SPLICE_SITES") -> SaturationFigureWriter:
    scores = np.full((4, 4), np.nan, np.float32)
    matrix = SaturationMatrix(chrom="chr1", start0=START0, scorer=scorer, reference=REFERENCE, scores=scores)
    writer = SaturationFigureWriter(path, matrix)
    with writer:
        for result in make_results():
            writer.write(result)
    return writer


def test_table_has_a_row_per_substitution_scorer_and_gene(tmp_path: pathlib.Path) -> None:
    with SaturationWriter(tmp_path / "out.parquet", {"vepscoreVersion": "1"}) as writer:
        for result in make_results():
            writer.write(result)
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert len(table) == 2 * 3 * 4
    first = table[(table["pos"] == 1_001) & (table["alt"] == "G")]
    assert first["variant_scorer"].tolist() == ["SPLICE_SITES", "SPLICE_SITES", "DNASE", "VS_SPLICE"]
    assert first["gene_name"].tolist() == ["BRCA1", "NBR2", np.nan, "BRCA1"]
    assert first["track_name"].tolist() == ["donor", np.nan, "ENCFF1", np.nan]
    assert first["raw_score"].tolist() == [-1.0, -0.5, 0.25, -2.0]
    assert set(table["pos"]) == {1_001, 1_003}
    assert set(first["variant_id"]) == {f"chr1:1001:{first['ref'].iloc[0]}>G"}


def test_table_without_scores_is_whole(tmp_path: pathlib.Path) -> None:
    with SaturationWriter(tmp_path / "out.parquet", {}):
        pass
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert len(table) == 0
    assert list(table.columns[[0, -1]]) == ["variant_id", "raw_score"]


def test_largest_score_is_largest_in_size() -> None:
    allele = make_results()[0].alleles[1]
    assert largest_score(allele, "SPLICE_SITES") == -1.0
    assert largest_score(allele, "VS_SPLICE") == -2.0
    assert math.isnan(largest_score(allele, "CAGE"))


def make_matrix() -> SaturationMatrix:
    scores = np.full((4, 4), np.nan, np.float32)
    scores[1:, 0], scores[[0, 1, 3], 2] = SCORES[0], SCORES[2]
    return SaturationMatrix(
        chrom="chr1", start0=START0, scorer="SPLICE_SITES", reference=REFERENCE, scores=scores
    )


def test_mean_effect_is_over_what_was_scored() -> None:
    np.testing.assert_allclose(make_matrix().mean_effect, [-0.5 / 3, 0, 2, 0])


def test_letters_are_as_high_as_the_mean_effect_and_stand_at_their_position() -> None:
    logo, heat, _ = draw_saturation(make_matrix()).axes
    boxes = [patch.get_path().get_extents() for patch in logo.patches]
    assert [(box.y0, box.y1) for box in boxes] == [
        pytest.approx((-0.5 / 3, 0), abs=1e-6),
        pytest.approx((0, 2), abs=1e-6),
    ]
    assert [round((box.x0 + box.x1) / 2) for box in boxes] == [1_001, 1_003]
    assert heat.get_xlim() == (1_000.5, 1_004.5)


def test_heat_map_is_centred_on_zero_and_marks_the_reference() -> None:
    _, heat, _ = draw_saturation(make_matrix()).axes
    (image,) = heat.images
    assert image.get_clim() == (-3.0, 3.0)
    (marks,) = heat.lines
    assert list(zip(*marks.get_data(), strict=True)) == [(1_001, 0), (1_003, 2), (1_004, 3)]
    assert [label.get_text() for label in heat.get_yticklabels()] == list("ACGT")


def test_picture_without_scores_can_be_drawn(tmp_path: pathlib.Path) -> None:
    draw(tmp_path / "none.png", scorer="CAGE")
    assert (tmp_path / "none.png").stat().st_size > 1_000


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_same_scores_give_the_same_picture(tmp_path: pathlib.Path, suffix: str) -> None:
    draw(tmp_path / f"one.{suffix}")
    draw(tmp_path / f"two.{suffix}")
    data = (tmp_path / f"one.{suffix}").read_bytes()
    assert data == (tmp_path / f"two.{suffix}").read_bytes()
    assert re.match(rb"<\?xml|\x89PNG", data)
    assert len(list(tmp_path.iterdir())) == 2
