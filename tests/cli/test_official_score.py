"""`vepscore score` with a checkpoint in the official layout, of a tiny network: as it is, and imported."""

import pathlib

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.builders import HEADS, tiny_network, tiny_tracks, vcf_row, write_vcf
from tests.cli.commands import vepscore
from tests.cli.scoring import Bench, annotation, split_vcf
from tests.official_checkpoint import write_metadata, write_official

OUTPUTS = ("-o", "out.vcf", "-o", "out.parquet", "--table", "out.tsv")
SCORERS = ("-s", "DNASE", "-s", "RNA_SEQ", "-s", "CONTACT_MAPS")
ROWS = (
    vcf_row("chr1", 16_000, 1, "~"),
    vcf_row("chr1", 17_100, 30, "~"),
    vcf_row("chr1", 17_640, 2, "~~GATTA", "<DEL>"),
)
RUN_DEPENDENT = (b"##vepscoreCheckpoint=", b"##vepscoreCommand=")


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_official(tmp_path_factory.mktemp("official") / "all-folds", tiny_network())


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    heads = {output: channels for output, (channels, _, _) in HEADS.items()}
    tracks = {"human": tiny_tracks(), "mouse": tiny_tracks()}
    return write_metadata(tmp_path_factory.mktemp("metadata"), tracks, heads)


@pytest.fixture(scope="module")
def imported(
    official: pathlib.Path, metadata: dict[str, pathlib.Path], tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    output = tmp_path_factory.mktemp("imported") / "ours"
    given = [option for path in metadata.values() for option in ("--metadata", str(path))]
    done = vepscore("weights", "import", str(official), *given, "-o", str(output))
    assert done.returncode == 0, done.stderr
    return output


def score(bench: Bench, folder: pathlib.Path, *options: str) -> pathlib.Path:
    folder.mkdir()
    write_vcf(folder / "in.vcf", *ROWS)
    done = bench.score("in.vcf", "-g", str(bench.genome.gtf), *SCORERS, *OUTPUTS, *options, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.fixture(scope="module")
def direct_run(
    bench: Bench,
    official: pathlib.Path,
    metadata: dict[str, pathlib.Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("direct") / "run"
    return score(bench, folder, "-c", str(official), "--metadata", str(metadata["human"]))


@pytest.mark.slow
def test_imported_gives_the_same_bytes(
    bench: Bench, imported: pathlib.Path, direct_run: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    run = score(bench, tmp_path / "run", "-c", str(imported))
    texts = [(folder / "out.vcf").read_bytes().splitlines() for folder in (direct_run, run)]
    expected, found = ([line for line in text if not line.startswith(RUN_DEPENDENT)] for text in texts)
    assert found == expected
    pd.testing.assert_frame_equal(
        pd.read_parquet(run / "out.parquet"), pd.read_parquet(direct_run / "out.parquet")
    )


@pytest.mark.slow
def test_outputs_carry_the_terms_and_the_rotary_dtype(direct_run: pathlib.Path) -> None:
    header, records = split_vcf((direct_run / "out.vcf").read_bytes())
    table = (direct_run / "out.tsv").read_text().splitlines()
    stored = pq.read_schema(direct_run / "out.parquet").metadata
    assert all(annotation(record)["VS_STATUS"].startswith("OK") for record in records)
    for lines in (
        [line.decode() for line in header],
        table,
        [f"##{key.decode()}={value.decode()}" for key, value in stored.items()],
    ):
        facts = dict(line[2:].split("=", 1) for line in lines if line.startswith("##vepscore"))
        assert "non-commercial" in facts["vepscoreTerms"]
        assert "model-terms" in facts["vepscoreTerms"]
        assert "not for clinical use" in facts["vepscoreUse"]
        assert facts["vepscoreRotary"] == "bfloat16"
        assert facts["vepscoreCheckpoint"].startswith("all-folds sha256:")


@pytest.mark.slow
def test_minus_strand_and_mouse(
    bench: Bench,
    official: pathlib.Path,
    metadata: dict[str, pathlib.Path],
    direct_run: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    given = ("-c", str(official), "--metadata", str(metadata["human"]), "--strand", "minus")
    minus = pd.read_parquet(score(bench, tmp_path / "minus", *given) / "out.parquet")
    given = ("-c", str(official), "--metadata", str(metadata["mouse"]), "--organism", "mouse")
    mouse = pd.read_parquet(score(bench, tmp_path / "mouse", *given) / "out.parquet")
    plus = pd.read_parquet(direct_run / "out.parquet")
    for found in (minus, mouse):
        assert set(found["variant_scorer"]) == set(plus["variant_scorer"])
        assert not found["raw_score"].equals(plus["raw_score"])
    contacts = [frame[frame["variant_scorer"] == "CONTACT_MAPS"] for frame in (minus, plus)]
    assert len(contacts[0]) == len(contacts[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-c", "{official}"], "pass --metadata FILE"),
        (["-c", "{imported}", "--metadata", "{human}"], "has a track table of its own"),
    ],
)
def test_layout_and_metadata_must_go_together(
    bench: Bench,
    official: pathlib.Path,
    imported: pathlib.Path,
    metadata: dict[str, pathlib.Path],
    tmp_path: pathlib.Path,
    options: list[str],
    message: str,
) -> None:
    write_vcf(tmp_path / "in.vcf", *ROWS)
    names = {"official": official, "imported": imported, "human": metadata["human"]}
    given = [option.format(**names) for option in options]
    done = bench.score("in.vcf", "-o", "out.vcf", *given, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert not (tmp_path / "out.vcf").exists()


def test_metadata_of_the_other_organism_is_refused(
    bench: Bench, official: pathlib.Path, metadata: dict[str, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    write_vcf(tmp_path / "in.vcf", *ROWS)
    given = ("-c", str(official), "--metadata", str(metadata["mouse"]))
    done = bench.score("in.vcf", "-o", "out.vcf", *given, cwd=tmp_path)
    assert done.returncode == 1
    assert b"the file name is that of mouse metadata, not human" in done.stderr
