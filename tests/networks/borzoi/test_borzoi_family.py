"""Borzoi from published weights to scores: imported, listed, opened, and scored with its own scorers."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import safetensors.numpy

from tests.builders import GENES, TinyGenome, build_genome, sequences, write_vcf
from tests.cli.commands import vepscore
from tests.engine.alleles import ROWS
from tests.engine.jobs import tiny_job
from tests.networks.borzoi.borzoi_cases import HUMAN, embed, state_dict, write_table
from tests.networks.borzoi.borzoi_reference import CASES
from vepscore.engine.job import resolve_defaults
from vepscore.engine.run_job import run_job
from vepscore.errors import UsageError
from vepscore.genome.alleles import Allele
from vepscore.genome.windows import encode_bases, window_around
from vepscore.model.checkpoint import load_checkpoint, read_config
from vepscore.model.network import one_hot
from vepscore.networks.borzoi.family import FAMILY
from vepscore.networks.borzoi.network import Borzoi
from vepscore.outputs import Output

SMALL = CASES["small"]
OUTPUTS = ("RNA_SEQ", "CAGE", "DNASE", "ATAC", "CHIP_TF", "CHIP_HISTONE")
SCORERS = (*OUTPUTS, "SED", "LOG_SED", "SED_D2", "SED_LOG_D2")
WINDOW_BP = 16_384
MARGIN_BP = 16 * 32


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> TinyGenome:
    return build_genome(tmp_path_factory.mktemp("genome"))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Write weights as they are published, and the table of human targets."""
    folder = tmp_path_factory.mktemp("published")
    safetensors.numpy.save_file(state_dict(SMALL), folder / "model.safetensors")
    (folder / "config.json").write_text('{"return_center_bins_only": false}')
    return folder, write_table(folder / "targets_human.txt", HUMAN)


@pytest.fixture(scope="module")
def checkpoint(published: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, table = published
    output = tmp_path_factory.mktemp("imported") / "small"
    done = vepscore(
        "weights", "import", "borzoi", str(folder), "--metadata", f"human:{table}", "-o", str(output)
    )
    assert done.returncode == 0, done.stderr
    assert "organisms:  human" in done.stdout
    return output


def test_checkpoint_says_what_it_reads_and_predicts(checkpoint: Path) -> None:
    config = read_config(checkpoint)
    assert (config.family, config.scorers, config.license) == ("borzoi", SCORERS, "Apache-2.0")
    assert config.training["imported_from"] == "model.safetensors"
    context = FAMILY.context(config.architecture)
    assert (context.margin_bp, context.most_bp) == (MARGIN_BP, 524_288)
    opened = load_checkpoint(checkpoint)
    assert {output: (len(table), table.resolution_bp) for output, table in opened.tracks.items()} == {
        Output.CAGE: (2, 32),
        Output.DNASE: (1, 32),
        Output.ATAC: (1, 32),
        Output.CHIP_TF: (1, 32),
        Output.CHIP_HISTONE: (1, 32),
        Output.RNA_SEQ: (3, 32),
    }


def test_default_window_is_that_of_the_network(checkpoint: Path, genome: TinyGenome, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf", ROWS["SNV in two genes"])
    job = tiny_job(genome, checkpoint, source, window=None)
    assert resolve_defaults(job).windows.window == 524_288


def test_weights_list_shows_it(checkpoint: Path) -> None:
    done = vepscore("weights", "list", "--plain", environment={"VEPSCORE_WEIGHTS": str(checkpoint.parent)})
    (row,) = (line.split("\t") for line in done.stdout.splitlines() if line.startswith("small"))
    outputs = "ATAC,DNASE,CAGE,RNA_SEQ,CHIP_TF,CHIP_HISTONE"
    assert row[3:] == ["borzoi", "524,288 bp", outputs, "Apache-2.0"]


def test_import_needs_the_table_of_targets(published: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--metadata human:targets_human"):
        FAMILY.import_weights(
            published[0],
            tmp_path / "new",
            name="new",
            metadata={},
            dtype="float32",
            observe=lambda *_: None,
        )
    assert not (tmp_path / "new").exists()


def coverage(network: Borzoi, codes: np.ndarray) -> np.ndarray:
    """Return the RNA-seq coverage of a window without its margins: bins × tracks."""
    return np.asarray(network.predict(Output.RNA_SEQ, embed(network, one_hot(codes, jnp.float32)[None]), 0))


def test_scores_are_those_of_its_predictions(checkpoint: Path, genome: TinyGenome, tmp_path: Path) -> None:
    chrom, pos1, _, ref, alt = row = ROWS["SNV in two genes"]
    table = tmp_path / "out.parquet"
    source = write_vcf(tmp_path / "in.vcf", row, ROWS["deletion"])
    run_job(tiny_job(genome, checkpoint, source, outputs=(table,), window=WINDOW_BP))
    scores = pd.read_parquet(table)
    assert set(scores["variant_scorer"]) == set(SCORERS)
    assert set(scores["record"]) == {0, 1}

    pos0 = int(pos1) - 1
    start0 = window_around(Allele(chrom=chrom, pos0=pos0, ref=ref, alt=alt), WINDOW_BP).start0
    codes = encode_bases(sequences()[chrom][start0 : start0 + WINDOW_BP].encode())
    changed = codes.copy()
    changed[pos0 - start0] = encode_bases(alt.encode())[0]
    network = load_checkpoint(checkpoint).network
    difference = coverage(network, changed) - coverage(network, codes)
    exons = {exon for exons in GENES["LNC"][3] for exon in exons}
    bins = [(start - start0 - MARGIN_BP, end - start0 - MARGIN_BP) for start, end in exons]
    expected = sum(difference[round(start / 32) : round(end / 32)].sum(axis=0) for start, end in bins)
    of_gene = scores.query("record == 0 and variant_scorer == 'SED' and gene_id == 'LNC'")
    found = of_gene.set_index("track_name")["raw_score"]
    assert found["R1+"] == pytest.approx(expected[0], rel=1e-3)
    assert found["R2"] == pytest.approx(expected[2], rel=1e-3)
