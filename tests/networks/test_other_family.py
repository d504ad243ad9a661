"""A family of networks from another package: scored by both engines, resumed, sharded, merged and ranked."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flax import nnx

import vepscore
from tests.builders import TinyGenome, build_genome, make_records, write_vcf
from tests.cli.commands import install_plugin
from tests.cli.commands import vepscore as vepscore_command
from tests.engine.alleles import ROWS
from tests.engine.jobs import output_files, tiny_job
from vepscore.engine.job import Job, resolve_defaults
from vepscore.engine.run_job import run_job
from vepscore.engine.scored_records import RunCounts
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.engine.session import open_preparer, open_session
from vepscore.errors import CheckpointError, UsageError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.io.merging import merge
from vepscore.model.allele_plan import ReadyAllele
from vepscore.model.checkpoint import CheckpointConfig, read_config, save_checkpoint
from vepscore.model.family import find_family
from vepscore.options.option_types import EngineKind, Shard, Strand
from vepscore.outputs import Output, Tracks

PLUGIN = Path(__file__).with_name("plugin")


class Killed(Exception):
    """Ends a run where it is."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("other")


@pytest.fixture(scope="module", autouse=True)
def installed(folder: Path) -> Iterator[Path]:
    """Put the package, with the metadata that an installer writes, on the path."""
    site = folder / "site"
    site.mkdir()
    (site / "motif_networks.py").write_text((PLUGIN / "motif_networks.py").read_text())
    install_plugin(site, "motif-networks", {"motifs": "motif_networks:FAMILY"}, group="vepscore.networks")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        find_family.cache_clear()
        yield site
    find_family.cache_clear()
    sys.modules.pop("motif_networks", None)


@pytest.fixture(scope="module")
def genome(folder: Path) -> TinyGenome:
    return build_genome(folder)


def build(folder: Path, name: str, **sizes: int) -> Path:
    family = find_family("motifs")
    architecture = family.architecture(**sizes)
    ((output, channels),) = architecture.heads.items()
    strands = "++--" if output is Output.SPLICE_SITES else "." * channels
    count = len(strands)
    text = {column: np.full(count, "", object) for column in ("ontology_curie", "biosample_name", "assay")}
    tracks = Tracks(
        output=output,
        name=np.array([f"{output} {number}" for number in range(count)], object),
        strand=np.array(list(strands), object),
        nonzero_mean=np.ones(count, np.float32),
        channel=np.arange(count, dtype=np.int32),
        **text,
    )
    config = CheckpointConfig(
        name=name,
        family="motifs",
        architecture=architecture,
        organisms=("human",),
        window_bp=8_192,
        license="MIT",
    )
    save_checkpoint(
        folder / name, family.create(architecture, nnx.Rngs(0)), config, {"human": {output: tracks}}
    )
    return folder / name


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Path:
    return build(folder, "motifs")


@pytest.fixture
def job(genome: TinyGenome, checkpoint: Path, tmp_path: Path) -> Job:
    source = write_vcf(tmp_path / "in.vcf", *ROWS.values())
    return tiny_job(genome, checkpoint, source, outputs=outputs_in(tmp_path), window=None)


def outputs_in(folder: Path) -> tuple[Path, ...]:
    return folder / "out.vcf", folder / "out.parquet"


def in_folder(job: Job, folder: Path) -> Job:
    folder.mkdir()
    return job.changed(outputs=output_files(*outputs_in(folder)))


def contents(job: Job) -> list[bytes]:
    return [Path(output.path).read_bytes() for output in job.outputs]


def scores_of(job: Job) -> list[np.ndarray]:
    """Return all scores of every allele of ROWS that can be scored."""
    job = resolve_defaults(job)
    session = open_session(job, open_preparer(job, source="in.vcf", assembly=""))
    engine = session.create_engine()
    prepared = [
        allele for record in make_records(*ROWS.values()) for allele in session.preparer.prepare(record)
    ]
    ready = [allele for allele in prepared if isinstance(allele, ReadyAllele)]
    return [matrix.values for allele in ready for matrix in engine.score([allele])[0]]


@pytest.mark.parametrize("strand", [Strand.PLUS, Strand.MINUS])
@pytest.mark.parametrize("anchor", IndelAnchor)
def test_stretches_give_what_whole_windows_give(job: Job, anchor: IndelAnchor, strand: Strand) -> None:
    job = job.changed(indel_anchor=anchor, strand=strand)
    sparse, dense = (scores_of(job.changed(engine=kind)) for kind in (EngineKind.SPARSE, EngineKind.DENSE))
    assert len(sparse) == len(dense) > 10
    for found, expected in zip(sparse, dense, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert max(np.nanmax(np.abs(values)) for values in sparse) > 0.01


def test_only_stretches_that_an_allele_reaches_are_computed(job: Job) -> None:
    job = resolve_defaults(job)
    session = open_session(job, open_preparer(job, source="in.vcf", assembly=""))
    engine = session.create_engine()
    computed: list[int] = []
    embed = engine.predictor._embed
    engine.predictor._embed = lambda *args: (computed.append(1), embed(*args))[1]
    (record,) = make_records(ROWS["SNV in two genes"])
    (allele,) = session.preparer.prepare(record)
    engine.score([allele])
    of_reference = len(computed) - 1
    assert of_reference > 10  # stretches of 128 bp; the SNV reaches one
    engine.score([allele])
    assert len(computed) == of_reference + 2


def test_network_reads_more_than_it_predicts(job: Job) -> None:
    job = resolve_defaults(job)
    preparer = open_preparer(job, source="in.vcf", assembly="")
    (record,) = make_records(ROWS["no gene"])
    (allele,) = preparer.prepare(record)
    assert len(allele.reference_codes) == 8_192
    assert allele.site.window.width_bp == 8_192 - 2 * 4


def test_run_resumes_and_shards_merge_into_what_one_run_writes(job: Job, tmp_path: Path) -> None:
    run_job(job)
    cut = in_folder(job, tmp_path / "cut")

    def stop(counts: RunCounts, total: int | None) -> None:
        if counts.records == 5:
            raise Killed

    with pytest.raises(Killed):
        run_job(cut, stop)
    assert run_job(cut).counts.resumed > 0
    assert contents(cut) == contents(job)
    parts = [in_folder(job, tmp_path / f"{n}").changed(shard=Shard(n, 2)) for n in (1, 2)]
    for part in parts:
        run_job(part)
    merged = in_folder(job, tmp_path / "merged")
    for output, *paths in zip(
        *([each.path for each in one.outputs] for one in (merged, *parts)), strict=True
    ):
        merge([Path(path) for path in paths], output)
    assert contents(merged) == contents(job)


def test_scored_file_names_the_checkpoint_and_is_ranked(job: Job, checkpoint: Path) -> None:
    run_job(job)
    vcf, table = contents(job)[0].decode(), pd.read_parquet(job.outputs[1].path)
    assert "##vepscoreCheckpoint=motifs sha256:" in vcf
    assert set(table["output_type"]) == {"SPLICE_SITES"}
    ranked = vepscore.rank(job.outputs[0].path)
    assert len(ranked) > 3


def test_resolution_is_that_of_the_network(genome: TinyGenome, folder: Path, tmp_path: Path) -> None:
    job = tiny_job(genome, build(folder, "coarse", bin_bp=32), "in.vcf", window=8_192)
    sparse, dense = (scores_of(job.changed(engine=kind)) for kind in (EngineKind.SPARSE, EngineKind.DENSE))
    assert all((found == expected).all() for found, expected in zip(sparse, dense, strict=True))
    resolved = resolve_defaults(job)
    preparer = open_preparer(resolved, source="in.vcf", assembly="")
    (record,) = make_records(ROWS["no gene"])
    (allele,) = preparer.prepare(record)
    (chip,) = load_scorers(["CHIP_TF"])
    footprint = chip.footprint(allele.site)
    assert (footprint.positions >= 0).sum() == -(-501 // 32)


@pytest.mark.parametrize(
    ("window", "said"), [(999, "from 1,000 to 100,000 bp"), (131_072, "from 1,000 to 100,000 bp")]
)
def test_window_that_the_network_cannot_read_is_refused(job: Job, window: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_preparer(job.changed(window=window), source="in.vcf", assembly="")


def test_checkpoint_of_a_family_that_is_not_installed_is_an_error(checkpoint: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(checkpoint, tmp_path / "copied"))
    text = (copied / "config.json").read_text().replace('"family": "motifs"', '"family": "motives"')
    (copied / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="no network is named 'motives'; did you mean motifs"):
        read_config(copied)


def test_command_line_finds_the_family(
    installed: Path, checkpoint: Path, job: Job, genome: TinyGenome
) -> None:
    environment = {"PYTHONPATH": str(installed)}
    listed = vepscore_command("weights", "families", environment=environment)
    assert "motifs\tmotif_networks\tmotif-networks 1.0\t" in listed.stdout
    shown = vepscore_command("weights", "info", str(checkpoint), environment=environment)
    assert "family:" in shown.stdout and "motifs" in shown.stdout
    done = vepscore_command(
        *("score", job.source, "-r", str(genome.fasta), "-g", str(genome.gtf), "-c", str(checkpoint)),
        *("-o", str(scored := Path(job.source).with_name("scored.vcf"))),
        environment=environment,
    )
    assert done.returncode == 0, done.stderr
    page = scored.with_suffix(".html")
    done = vepscore_command(
        *("report", str(scored), "-r", str(genome.fasta), "-g", str(genome.gtf), "-c", str(checkpoint)),
        *("--top", "2", "-o", str(page)),
        environment=environment,
    )
    assert done.returncode == 0, done.stderr
    assert "motifs" in page.read_text()
