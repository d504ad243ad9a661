"""Enformer from published weights to scores: imported, listed, scored by both engines, resumed."""

from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from flax import nnx

from tests.builders import TinyGenome, build_genome, sequences, vcf_row, write_vcf
from tests.cli.commands import vepscore
from tests.engine.alleles import ROWS
from tests.engine.jobs import output_files, tiny_job
from tests.networks.enformer.enformer_cases import DESCRIPTIONS, tiny_state, write_targets
from tests.networks.torch_files import torch_file
from vepscore.engine.job import Job
from vepscore.engine.run_job import run_job
from vepscore.engine.scored_records import RunCounts
from vepscore.model.checkpoint import load_checkpoint, read_config
from vepscore.model.network import LOADED_ORGANISM, one_hot
from vepscore.networks.enformer.family import FAMILY
from vepscore.networks.enformer.network import Enformer
from vepscore.options.option_types import EngineKind
from vepscore.outputs import Output

WINDOW_BP, MARGIN_BP = 2048, 256  # 128 bins of 16 bp, of which 96 are predicted
SETTINGS = '{"window_bins": 128, "target_length": 96}'
RECORDS = {
    "SNV": ROWS["SNV in two genes"],
    "insertion": ROWS["insertion"],
    "deletion": ROWS["deletion"],
    "REF mismatch": ("chr1", "16001", ".", "N", "A"),
    "symbolic": vcf_row("chr1", 17_000, 1, "<DEL>"),
}
STATUSES = ["OK", "OK", "OK", "NON_ACGT", "SYMBOLIC"]


class Killed(Exception):
    """Ends a run where it is."""


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> TinyGenome:
    return build_genome(tmp_path_factory.mktemp("genome"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Import weights as they are published, from the command line."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "pytorch_model.bin").write_bytes(torch_file(tiny_state()))
    (folder / "config.json").write_text(SETTINGS)
    tables = [write_targets(folder / f"{name}.txt", texts) for name, texts in DESCRIPTIONS.items()]
    metadata = [option for table in tables for option in ("--metadata", f"{table.stem}:{table}")]
    output = tmp_path_factory.mktemp("weights") / "small"
    done = vepscore("weights", "import", "enformer", str(folder), *metadata, "-o", str(output))
    assert done.returncode == 0, done.stderr
    assert "organisms:  human, mouse" in done.stdout
    return output


@pytest.fixture
def job(genome: TinyGenome, checkpoint: Path, tmp_path: Path) -> Job:
    source = write_vcf(tmp_path / "in.vcf", *RECORDS.values())
    return tiny_job(genome, checkpoint, source, outputs=outputs_in(tmp_path), window=None)


def outputs_in(folder: Path) -> tuple[Path, ...]:
    return folder / "out.vcf", folder / "out.parquet"


def in_folder(job: Job, folder: Path) -> Job:
    folder.mkdir()
    return job.changed(outputs=output_files(*outputs_in(folder)))


def test_checkpoint_says_what_it_reads_and_predicts(checkpoint: Path) -> None:
    config = read_config(checkpoint)
    assert (config.family, config.window_bp, config.license) == ("enformer", WINDOW_BP, "CC-BY-4.0")
    assert config.scorers == (
        *("DNASE", "ATAC", "CHIP_TF", "CHIP_HISTONE", "CAGE"),
        *("SAD_DNASE", "SAD_ATAC", "SAD_CHIP_TF", "SAD_CHIP_HISTONE", "SAD_CAGE"),
        *("SAR_DNASE", "SAR_ATAC", "SAR_CHIP_TF", "SAR_CHIP_HISTONE", "SAR_CAGE"),
    )
    assert FAMILY.context(config.architecture).margin_bp == MARGIN_BP
    tracks = load_checkpoint(checkpoint, organism="mouse").tracks
    assert {output: (len(table), table.resolution_bp) for output, table in tracks.items()} == {
        Output.ATAC: (1, 16),
        Output.CAGE: (2, 16),
    }


def test_command_line_lists_it(checkpoint: Path) -> None:
    listed = vepscore("weights", "list", environment={"VEPSCORE_WEIGHTS": str(checkpoint.parent)}).stdout
    (line,) = (line for line in listed.splitlines() if line.startswith("small\t"))
    _, _, _, family, window, outputs, license_name = line.split("\t")
    assert (family, window, license_name) == ("enformer", "2,048 bp", "CC-BY-4.0")
    assert set(outputs.split(",")) == {"ATAC", "CAGE", "CHIP_HISTONE", "CHIP_TF", "DNASE"}
    assert "enformer\tvepscore.networks.enformer.family\t" in vepscore("weights", "families").stdout


def test_records_are_scored_and_a_killed_run_resumes(job: Job, tmp_path: Path) -> None:
    job = job.changed(scorers=("DNASE", "SAD_DNASE", "SAR_CAGE"))
    run_job(job)
    vcf = Path(job.outputs[0].path).read_text()
    assert f"##vepscoreWindow={WINDOW_BP} bp" in vcf
    lines = [line for line in vcf.splitlines() if not line.startswith("#")]
    assert [line.split("VS_STATUS=")[1].partition(";")[0] for line in lines] == STATUSES
    assert "VS_DNASE=" in lines[0] and "|SAD_DNASE|" in lines[0] and "|SAR_CAGE|" in lines[0]
    cut = in_folder(job, tmp_path / "cut").changed(engine=EngineKind.DENSE)

    def stop(counts: RunCounts, total: int | None) -> None:
        if counts.records == 2:
            raise Killed

    with pytest.raises(Killed):
        run_job(cut, stop)
    assert run_job(cut).counts.resumed > 0
    pd.testing.assert_frame_equal(*(pd.read_parquet(each.outputs[1].path) for each in (job, cut)))
    found = Path(cut.outputs[0].path).read_text().splitlines()
    assert [line for line in found if not line.startswith("#")] == lines


@pytest.fixture(scope="module")
def network(checkpoint: Path) -> Iterator[Enformer]:
    yield load_checkpoint(checkpoint).network


@pytest.mark.parametrize("kind", ["SNV", "insertion", "deletion"])
def test_scores_are_those_of_whole_windows(kind: str, job: Job, network: Enformer, tmp_path: Path) -> None:
    chrom, pos1, _, ref, alt = RECORDS[kind]
    source = write_vcf(tmp_path / "one.vcf", RECORDS[kind])
    run_job(job.changed(source=str(source), as_written=True))
    table = pd.read_parquet(job.outputs[1].path).set_index(["variant_scorer", "track_name"])["raw_score"]
    pos0, bases = int(pos1) - 1, sequences()[chrom]
    changed = bases[:pos0] + alt + bases[pos0 + len(ref) :]
    start0 = pos0 + (len(ref) + 1) // 2 - WINDOW_BP // 2
    reference, alternate = (predict(network, each[start0 : start0 + WINDOW_BP]) for each in (bases, changed))
    for number, name in enumerate(("ENCFF0", "ENCFF3")):
        r, a = reference[:, number], alternate[:, number]
        assert table["SAD_DNASE", name] == pytest.approx(a.sum() - r.sum(), rel=1e-3, abs=1e-4)
        expected = np.log2(1 + a).sum() - np.log2(1 + r).sum()
        assert table["SAR_DNASE", name] == pytest.approx(expected, rel=1e-3, abs=1e-4)


@nnx.jit
def predict_dnase(network: Enformer, dna: jax.Array) -> jax.Array:
    return network.predict(Output.DNASE, network.embed(dna, LOADED_ORGANISM)[0], LOADED_ORGANISM)


def predict(network: Enformer, bases: str) -> np.ndarray:
    """Return the predictions of DNASE for a window: bins × tracks."""
    codes = np.array(["ACGTN".index(base) for base in bases], np.uint8)
    return np.asarray(predict_dnase(network, one_hot(codes[None], network.dtype)), np.float64)
