"""The families from a checkpoint to files: delta scores by the rules of SpliceAI, and what the options change."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flax import nnx

from tests.builders import TinyGenome, build_genome, write_vcf
from tests.engine.alleles import ROWS, UNCHANGED
from tests.engine.jobs import tiny_job
from tests.networks.dilated.small import BLOCKS, SPLICEAI, randomize
from vepscore.engine.job import Job, resolve_precision
from vepscore.engine.run_job import run_job
from vepscore.errors import UsageError
from vepscore.io.records import open_records
from vepscore.model.checkpoint import CheckpointConfig, save_checkpoint
from vepscore.networks.dilated import dilated_families as families
from vepscore.networks.dilated.dilated_config import PangolinConfig
from vepscore.networks.dilated.published import pangolin_tracks, spliceai_tracks
from vepscore.options.option_types import EngineKind, Precision

WINDOW_BP = 4_096
PANGOLIN = PangolinConfig(**BLOCKS, replicates=1)
KINDS = ("SNV in two genes", "insertion", "deletion", "MNV")


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> TinyGenome:
    return build_genome(tmp_path_factory.mktemp("genome"))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a small network of each family."""
    folder = tmp_path_factory.mktemp("checkpoints")
    networks = {
        families.SPLICEAI: (SPLICEAI, spliceai_tracks("small")),
        families.PANGOLIN: (PANGOLIN, pangolin_tracks(PANGOLIN)),
    }
    for family, (architecture, tracks) in networks.items():
        config = CheckpointConfig(
            name=family.name,
            family=family.name,
            architecture=architecture,
            organisms=("human",),
            window_bp=WINDOW_BP,
            scorers=family.default_scorers,
            license="MIT",
        )
        network = randomize(family.create(architecture, nnx.Rngs(0)))
        save_checkpoint(folder / family.name, network, config, {"human": tracks})
    return {family.name: folder / family.name for family in networks}


@pytest.fixture
def job(genome: TinyGenome, checkpoints: dict[str, Path], tmp_path: Path) -> Job:
    source = write_vcf(tmp_path / "in.vcf", *(ROWS[kind] for kind in KINDS))
    outputs = tmp_path / "out.vcf", tmp_path / "out.parquet"
    spliceai = tmp_path / "out.spliceai.vcf"
    return tiny_job(
        genome, checkpoints["spliceai"], source, outputs=outputs, spliceai=spliceai, window=WINDOW_BP
    )


def lines_of(job: Job) -> list[list[str]]:
    """Return the columns of the lines in the form of SpliceAI's output."""
    text = Path(job.outputs[-1].path).read_text()
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def test_lines_have_scores_and_positions_of_every_gene(job: Job) -> None:
    run_job(job)
    lines = lines_of(job)
    genes = [line[7].split("|")[1] for line in lines if line[1:5] == lines[0][1:5]]
    assert genes == ["Plus", "Minus"]
    assert ROWS["MNV"][1] not in {line[1] for line in lines}  # the program has none for it
    for *_, info in lines:
        *scores, ag, al, dg, dl = info.split("|")[2:]
        assert all(0 <= float(score) <= 1 for score in scores)
        assert all(abs(int(offset)) <= 50 for offset in (ag, al, dg, dl))
    with open_records(job.outputs[-1].path) as records:
        header = "\n".join(records.header.meta)
    assert "vepscoreDeltaScores=distance 50 bp, not masked" in header
    assert "by the rules of its published program, distance 50 bp, not masked" in header
    assert "vepscoreAlleles=as written" in Path(job.outputs[0].path).read_text()


def test_alt_equal_to_ref_scores_nothing(job: Job, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "unchanged.vcf", UNCHANGED[0])
    run_job(job.changed(source=str(source)))
    lines = lines_of(job)
    assert lines and {line[7].partition("|")[2].partition("|")[2] for line in lines} == {
        "0.00|0.00|0.00|0.00|-50|-50|-50|-50"  # as in the program
    }


def test_pangolin_prints_entries_of_its_own_or_says_why_not(
    genome: TinyGenome, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    kinds = ("SNV in two genes", "MNV", "shortening delins")
    source = write_vcf(tmp_path / "in.vcf", *(ROWS[kind] for kind in kinds))
    table, spliceai = tmp_path / "out.tsv", tmp_path / "out.spliceai.vcf"
    job = tiny_job(genome, checkpoints["pangolin"], source, table=table, spliceai=spliceai, window=WINDOW_BP)
    run_job(job)
    with open_records(str(spliceai)) as records:
        assert list(records.header.definitions("INFO")) == ["Pangolin"]
        entries = [record.line.decode().split("\t")[7] for record in records]
    entry = r"Pangolin=(PLUS|MINUS)\|-?\d+:[\d.]+\|-?\d+:-[\d.]+\|Warnings:"
    assert len(entries) == 4 and all(re.fullmatch(entry, text) for text in entries)
    rows = pd.read_csv(table, sep="\t", comment="#")
    assert rows["VS_STATUS"].tolist() == ["OK", "OK", "NOT_APPLICABLE"]
    assert rows["reason"].tolist()[2] == (
        "no scorer of the run applies: Pangolin: REF and ALT have several bases each, but not the same number"
    )


def test_distance_and_mask_change_what_is_scored(job: Job) -> None:
    run_job(job)
    near = lines_of(job)
    run_job(job.changed(spliceai_distance=20))
    nearest = lines_of(job)
    assert [line[:5] for line in nearest] == [line[:5] for line in near]
    reach = [max(abs(int(x)) for *_, info in lines for x in info.split("|")[6:]) for lines in (near, nearest)]
    assert 20 < reach[0] <= 50 and reach[1] <= 20
    run_job(masked := job.changed(spliceai_mask=1))
    assert "distance 50 bp, masked" in Path(masked.outputs[0].path).read_text()


def test_distance_that_does_not_fit_into_the_window_is_an_error(job: Job) -> None:
    with pytest.raises(UsageError, match="--spliceai-distance 5000"):
        run_job(job.changed(spliceai_distance=5_000))


def test_networks_are_run_in_float32_on_every_device(job: Job) -> None:
    """Other networks are run in bfloat16 on GPUs, too rough for two decimals."""
    assert resolve_precision(job.changed(precision=None), "gpu") == "float32"
    assert resolve_precision(job.changed(precision=Precision.BFLOAT16), "gpu") == "bfloat16"
    assert resolve_precision(job.changed(precision=None, checkpoint=None), "gpu") == "bfloat16"


@pytest.mark.parametrize("name", [pytest.param("spliceai", marks=pytest.mark.slow), "pangolin"])
def test_engines_agree(genome: TinyGenome, checkpoints: dict[str, Path], tmp_path: Path, name: str) -> None:
    source = write_vcf(tmp_path / "in.vcf", *(ROWS[kind] for kind in KINDS))
    tables = []
    for kind in (EngineKind.SPARSE, EngineKind.DENSE):
        table = tmp_path / f"{kind}.parquet"
        run_job(tiny_job(genome, checkpoints[name], source, outputs=(table,), engine=kind, window=WINDOW_BP))
        tables.append(pd.read_parquet(table))
    sparse, dense = (table.drop(columns="raw_score") for table in tables)
    pd.testing.assert_frame_equal(sparse, dense)
    np.testing.assert_allclose(*(table["raw_score"] for table in tables), rtol=1e-4, atol=1e-5)
