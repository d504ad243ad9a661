"""Every substitution of a region has the scores that a VCF of them has, and what cannot be done is said."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.builders import WINDOW_BP, TinyGenome, sequences, write_vcf
from tests.engine.jobs import output_files, tiny_job
from vepscore.engine.job import Job
from vepscore.engine.run_job import run_job
from vepscore.engine.saturation import MAX_REGION_BP, grid_for, run_saturation
from vepscore.errors import UsageError
from vepscore.genome.windows import parse_width

FIRST1, LAST1 = 14_335, 14_337  # in PLUS; window starts move on by a step of the grid between them
REGION = f"chr1:{FIRST1:,}-{LAST1:,}"
SPLICING = ("SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS")
SUBSTITUTION = ["pos", "alt", "variant_scorer", "gene_id"]


def make_job(genome: TinyGenome, checkpoint: Path, **changes: object) -> Job:
    return tiny_job(genome, checkpoint, Path(), **{"align": grid_for(WINDOW_BP)} | changes)


@pytest.fixture(scope="module")
def made(genome: TinyGenome, checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the table and the picture of the region, and the scores of a VCF of the same substitutions."""
    folder = tmp_path_factory.mktemp("saturation")
    job = make_job(genome, checkpoint_folder)
    report = run_saturation(job, REGION, folder / "ism.parquet", picture=folder / "ism.svg")
    assert (report.counts.records, report.counts.scored) == (3, 9)
    bases = sequences()["chr1"]
    rows = [
        ("chr1", str(pos1), ".", bases[pos1 - 1], alt)
        for pos1 in range(FIRST1, LAST1 + 1)
        for alt in "ACGT"
        if alt != bases[pos1 - 1]
    ]
    outputs = output_files(folder / "score.parquet", table=folder / "score.tsv")
    source = str(write_vcf(folder / "in.vcf", *rows))
    run_job(job.changed(source=source, scorers=SPLICING, outputs=outputs), lambda counts, total: None)
    return folder


def by_substitution(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table in an order that does not depend on the order of its rows."""
    return (
        table.astype(dict.fromkeys(("alt", "variant_scorer", "gene_id"), str))
        .set_index(SUBSTITUTION)
        .sort_index()
    )


def test_scores_are_those_of_a_vcf(made: Path) -> None:
    scored = pd.read_parquet(made / "score.parquet")
    expected = scored.loc[scored.groupby(SUBSTITUTION, observed=True)["raw_score"].idxmax()]
    expected = by_substitution(expected)
    found = pd.read_parquet(made / "ism.parquet")
    found = by_substitution(found[found["variant_scorer"] != "VS_SPLICE"])
    assert len(found) == 9 * len(SPLICING)
    assert found.index.equals(expected.index)
    assert found["raw_score"].tolist() == expected["raw_score"].tolist()
    assert found["track_name"].tolist() == expected["track_name"].tolist()
    assert found["raw_score"].max() > 0.001


def test_composite_is_that_of_a_vcf(made: Path) -> None:
    found = pd.read_parquet(made / "ism.parquet")
    composite = found[found["variant_scorer"] == "VS_SPLICE"]
    expected = pd.read_csv(made / "score.tsv", sep="\t", comment="#")
    assert composite["raw_score"].tolist() == pytest.approx(
        expected["VS_SPLICE"].tolist(), rel=1e-4, abs=1e-6
    )
    assert set(composite["gene_name"]) == {"Plus"} and composite["track_name"].isna().all()


def test_files_are_there_and_say_how_they_were_made(made: Path) -> None:
    metadata = pq.read_schema(made / "ism.parquet").metadata
    assert metadata[b"vepscoreAlign"] == f"{WINDOW_BP // 4} bp".encode()
    assert set(metadata[b"vepscoreScorers"].decode().split(",")) == set(SPLICING)
    assert (made / "ism.svg").read_text().startswith("<?xml")
    assert {path.name for path in made.iterdir()} == {
        *("in.vcf", "score.parquet", "score.tsv", "ism.parquet", "ism.svg")
    }


def test_bases_that_are_not_known_are_passed_over(
    genome: TinyGenome, checkpoint_folder: Path, tmp_path: Path
) -> None:
    job = make_job(genome, checkpoint_folder, scorers=("DNASE",), genes=None)
    run_saturation(job, "chr1:7000-7003", tmp_path / "out.parquet")
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert table["pos"].tolist() == [7_000] * 3 + [7_003] * 3
    assert set(table["variant_scorer"]) == {"DNASE"} and table["gene_id"].isna().all()


@pytest.mark.parametrize("width", ["1Mb", "256kb", "16kb", "18432"])
def test_grid_fits_the_window(width: str) -> None:
    window_bp = parse_width(width)
    grid_bp = grid_for(window_bp)
    assert grid_bp <= window_bp // 4 and grid_bp % 128 == 0


@pytest.mark.parametrize(
    ("place", "names", "changes", "says"),
    [
        (
            "chr1:1-5,001",
            {},
            {},
            f"5001 bp wide and has 15003 substitutions; expected at most {MAX_REGION_BP} bp",
        ),
        ("chr1:14200:G>A", {}, {}, "expected CONTIG, CONTIG:POS"),
        ("chr2:5000-5010", {}, {}, "has no known base in"),
        (
            REGION,
            {"by": "CAGE"},
            {},
            "--by CAGE\n  expected one of SPLICE_JUNCTIONS, SPLICE_SITES, SPLICE_SITE",
        ),
        (REGION, {"picture": "out.jpg"}, {}, "out.jpg\n  expected a name that ends in .svg, .png or .pdf"),
        (REGION, {"table": "out.tsv"}, {}, "out.tsv\n  expected a name that ends in .parquet"),
        (REGION, {}, {"genes": None}, "SPLICE_SITES: needs genes: pass --genes"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    genome: TinyGenome,
    checkpoint_folder: Path,
    tmp_path: Path,
    place: str,
    names: dict[str, str],
    changes: dict[str, None],
    says: str,
) -> None:
    job = make_job(genome, checkpoint_folder, **changes)
    table = tmp_path / names.get("table", "out.parquet")
    picture = tmp_path / names["picture"] if "picture" in names else None
    with pytest.raises(UsageError) as caught:
        run_saturation(job, place, table, picture=picture, by=names.get("by"))
    assert says in str(caught.value)
    assert list(tmp_path.iterdir()) == []
