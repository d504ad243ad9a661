"""A background is scored once; other runs rank their scores in it, and only those that are made as it was."""

import dataclasses
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.builders import TinyGenome, build_checkpoint, make_records, vcf_row, write_vcf
from tests.engine.jobs import output_files, path_of, paths_of, renamed, tiny_job
from tests.io.samples import read_all
from vepscore.engine.calibration import calibrate
from vepscore.engine.job import Job
from vepscore.engine.prediction import Prediction, predict_signals
from vepscore.engine.quantile_choice import find_quantiles, match_composite
from vepscore.engine.run_job import run_job
from vepscore.engine.saturation import run_saturation
from vepscore.engine.scored_records import RunCounts
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.errors import CheckpointError, InputError, OutputError, UsageError
from vepscore.genome.alleles import AlleleKind, Status
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.io.merging import merge
from vepscore.io.quantile_writer import quantiles_of
from vepscore.io.quantiles import (
    GRID,
    Backgrounds,
    KindQuantiles,
    Quantiles,
    quantiles_name,
    read_quantiles,
)
from vepscore.io.results import AlleleResult, RecordResult
from vepscore.io.run_metadata import RunMetadata
from vepscore.options.option_types import Shard

NAME = quantiles_name("human", 16_384, "float32")
SNVS = [vcf_row("chr1", pos0, 1, "~") for pos0 in range(12_000, 20_000, 400)]
INDELS = [vcf_row("chr1", pos0, 2, "~") for pos0 in range(12_200, 20_000, 2_000)]
BACKGROUND = sorted([*SNVS, *INDELS], key=lambda row: int(row[1]))
ROWS = (
    SNVS[3],
    vcf_row("chr1", 17_001, 1, "~", "<DEL>"),
    vcf_row("chr1", 18_000, 1),
    vcf_row("chr1", 18_500, 3, "~"),
)
SCORERS = ("CONTACT_MAPS", "DNASE", "DNASE_ACTIVE")


@pytest.fixture(autouse=True, scope="module")
def cache(folder: Path) -> Iterator[None]:
    """Keep what is parsed and hashed in a folder of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEPSCORE_CACHE", str(folder / "cache"))
        yield


@pytest.fixture(scope="module")
def background_job(
    genome: TinyGenome, checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Job:
    source = write_vcf(tmp_path_factory.mktemp("background") / "background.vcf", *BACKGROUND)
    return tiny_job(genome, checkpoint_folder, source, scorers=SCORERS, precision=None, no_quantiles=True)


@pytest.fixture(scope="module")
def quantiles_path(background_job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, report = calibrate(background_job, tmp_path_factory.mktemp("made") / "new", ignore)
    assert report.counts.scored == len(BACKGROUND)
    return path


@pytest.fixture(scope="module")
def quantiles(quantiles_path: Path) -> Quantiles:
    return read_quantiles(quantiles_path)


@pytest.fixture
def job(genome: TinyGenome, checkpoint_folder: Path, quantiles_path: Path, tmp_path: Path) -> Job:
    """With every kind of output, ranked."""
    return tiny_job(
        genome,
        checkpoint_folder,
        write_vcf(tmp_path / "in.vcf", *ROWS),
        outputs=(str(tmp_path / "out.vcf"), str(tmp_path / "out.parquet")),
        table=tmp_path / "out.tsv",
        scorers=SCORERS,
        quantiles=quantiles_path.parent,
    )


def ignore(counts: RunCounts, total: int | None) -> None:
    """What nobody looks at."""


class Killed(BaseException):
    """What ends a run at once."""


def killed_after(records: int) -> Callable[[RunCounts, int | None], None]:
    def observe(counts: RunCounts, total: int | None) -> None:
        if counts.records == records:
            raise Killed

    return observe


def contents(job: Job) -> list[bytes]:
    return [path.read_bytes() for path in paths_of(job)]


def with_quantiles(checkpoint: Path, quantiles: Path, folder: Path) -> Path:
    """A copy of a checkpoint in whose directory the quantiles lie."""
    copy = shutil.copytree(checkpoint, folder / "copy")
    shutil.copy(quantiles, copy)
    return copy


def other_quantiles(background_job: Job, folder: Path) -> Path:
    """Quantiles of half of the background."""
    source = write_vcf(folder / "half.vcf", *BACKGROUND[::2])
    path, _ = calibrate(background_job.changed(source=str(source)), folder / "other", ignore)
    return path


class TestCalibration:
    def test_the_file_says_what_it_was_made_of(self, quantiles: Quantiles, background_job: Job) -> None:
        assert quantiles.name == NAME
        facts = quantiles.header
        assert (facts["vepscoreSubstitutions"], facts["vepscoreIndels"]) == (str(len(SNVS)), str(len(INDELS)))
        assert facts["vepscoreAlleles"] == "normalised"
        assert facts["vepscoreInput"].startswith("background.vcf sha256:")
        assert f"jax {jax.__version__}" in facts["vepscoreVersions"]
        settings = {key: facts[f"vepscore{key}"] for key in ("Organism", "Window", "Precision", "Align")}
        expected = {"Organism": "human", "Window": "16384 bp", "Precision": "float32", "Align": "1 bp"}
        assert settings == expected

    def test_every_scorer_and_its_sign_is_there(self, quantiles: Quantiles) -> None:
        for of_kind in quantiles.kinds.values():
            signs = {name: known.is_signed.tolist() for name, known in of_kind.scorers.items()}
            assert signs == {"CONTACT_MAPS": [False] * 2, "DNASE": [True] * 2, "DNASE_ACTIVE": [False] * 2}
            signed = dict(zip(of_kind.fields, of_kind.of_fields.is_signed.tolist(), strict=True))
            assert [name for name, is_signed in signed.items() if is_signed] == ["VS_DNASE"]

    def test_interrupted_run_resumes_and_ends_with_the_same_bytes(
        self, background_job: Job, quantiles_path: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(Killed):
            calibrate(background_job, tmp_path / "again", killed_after(12))
        assert os.listdir(tmp_path / "again") == [f".{NAME}.vepscore-progress"]
        path, report = calibrate(background_job, tmp_path / "again", ignore)
        assert report.counts.resumed == 12
        assert path.read_bytes() == quantiles_path.read_bytes()
        assert os.listdir(tmp_path / "again") == [NAME]

    def test_nothing_scored_leaves_no_folder(self, background_job: Job, tmp_path: Path) -> None:
        source = write_vcf(tmp_path / "in.vcf", ROWS[2])
        with pytest.raises(InputError, match="no allele of the input was scored"):
            calibrate(background_job.changed(source=str(source)), tmp_path / "none", ignore)
        assert not (tmp_path / "none").exists()


class TestRankedRun:
    def test_outputs_have_the_quantiles_of_their_scores(self, job: Job, quantiles: Quantiles) -> None:
        run_job(job, ignore)
        long = pd.read_parquet(path_of(job, "long_table"))
        assert long["quantile_score"].notna().all() and set(long["variant_scorer"]) == set(SCORERS)
        for (scorer, ref, alt), rows in long.groupby(["variant_scorer", "ref", "alt"], observed=True):
            kind = AlleleKind.SUBSTITUTION if len(ref) == len(alt) else AlleleKind.INDEL
            known = quantiles.kinds[kind].scorers[scorer]
            scores = np.zeros((len(rows), len(known.values)), np.float32)
            scores[range(len(rows)), rows["track_index"]] = rows["raw_score"]
            expected = known.rank(scores)[range(len(rows)), rows["track_index"]]
            np.testing.assert_array_equal(rows["quantile_score"], expected)
        assert long["quantile_score"].between(-1, 1).all()
        assert (long.loc[long["variant_scorer"] == "DNASE", "quantile_score"] < 0).any()

        table = pd.read_csv(path_of(job, "table"), sep="\t", comment="#")
        assert table["VS_DNASE_Q"].notna().tolist() == [True, True, False, True]
        _, records = read_all(path_of(job, "vcf"))
        info = dict(pair.split("=") for pair in records[1].line.decode().split("\t")[7].split(";"))
        assert info["VS_DNASE_Q"] == f"{table['VS_DNASE_Q'][1]:.6g},."
        assert info["VS_RNA_Q"] == ".,." and b"VS_DNASE_Q" not in records[2].line

    def test_median_of_the_background_is_the_middle(
        self, background_job: Job, quantiles_path: Path, tmp_path: Path
    ) -> None:
        """Of its own substitutions: the mean of the two in the middle is between them."""
        job = background_job.changed(
            outputs=output_files(table=tmp_path / "out.parquet"),
            quantiles=quantiles_path,
            no_quantiles=False,
        )
        run_job(job, ignore)
        table = pd.read_parquet(path_of(job, "table"))
        table = table[table["ref"].str.len() == 1]
        for field, middle in (("VS_DNASE", 0), ("VS_CONTACT", 0.5)):
            found = table[[field, f"{field}_Q"]].dropna().sort_values(field)[f"{field}_Q"].to_numpy()
            assert (np.diff(found) >= 0).all()
            low, high = found[(len(found) - 1) // 2], found[len(found) // 2]
            assert low <= middle <= high
            assert (low + high) / 2 == pytest.approx(middle, abs=0.05)

    def test_provenance_names_them(self, job: Job, quantiles: Quantiles) -> None:
        run_job(job, ignore)
        header, _ = read_all(path_of(job, "vcf"))
        assert f"##vepscoreQuantiles={NAME} sha256:{quantiles.digest}" in header.meta
        assert f"##vepscoreQuantiles={NAME} sha256:{quantiles.digest}" in path_of(job, "table").read_text()

    def test_same_scores_without_them(self, job: Job) -> None:
        run_job(job, ignore)
        bare = renamed(job, "bare.", quantiles=None)
        run_job(bare, ignore)
        with_ranks, without = (pd.read_parquet(path_of(each, "long_table")) for each in (job, bare))
        pd.testing.assert_frame_equal(
            with_ranks.drop(columns="quantile_score"), without.drop(columns="quantile_score")
        )
        assert without["quantile_score"].isna().all()
        assert b"_Q" not in path_of(bare, "vcf").read_bytes() + path_of(bare, "table").read_bytes()


class TestChoice:
    def test_those_in_the_checkpoints_directory_are_used(
        self, job: Job, quantiles_path: Path, tmp_path: Path
    ) -> None:
        run_job(job, ignore)
        copy = with_quantiles(Path(job.model.checkpoint), quantiles_path, tmp_path)
        default = renamed(job, "default.", checkpoint=str(copy), quantiles=None)
        run_job(default, ignore)
        assert contents(default) == contents(job)

    def test_unwanted_ones_leave_no_trace(self, job: Job, quantiles_path: Path, tmp_path: Path) -> None:
        bare = job.changed(quantiles=None)
        run_job(bare, ignore)
        copy = with_quantiles(Path(job.model.checkpoint), quantiles_path, tmp_path)
        unwanted = renamed(bare, "unwanted.", checkpoint=str(copy), no_quantiles=True)
        run_job(unwanted, ignore)
        assert contents(unwanted) == contents(bare)

    def test_signals_and_mutagenesis_are_not_ranked(
        self, job: Job, quantiles_path: Path, tmp_path: Path
    ) -> None:
        """They read no quantiles, so that even damaged ones do not stop them."""
        copy = with_quantiles(Path(job.model.checkpoint), quantiles_path, tmp_path)
        (copy / quantiles_path.name).write_bytes(b"damaged")
        job = job.changed(checkpoint=str(copy), quantiles=None, outputs=())
        prediction = Prediction(place="chr1:14,001-14,100", region=None, outputs=("DNASE",), tissue=None)
        assert "vepscoreQuantiles" not in predict_signals(job, prediction).facts
        run_saturation(job, "chr1:14,200-14,200", tmp_path / "ism.parquet")
        assert b"vepscoreQuantiles" not in pq.read_schema(tmp_path / "ism.parquet").metadata

    @pytest.mark.parametrize(
        ("key", "other"),
        [
            ("vepscoreCheckpoint", "tiny sha256:0123"),
            ("vepscoreOrganism", "mouse"),
            ("vepscoreWindow", "32768 bp"),
            ("vepscorePrecision", "bfloat16"),
        ],
    )
    def test_other_settings_are_refused_where_asked_for_and_ignored_by_default(
        self,
        job: Job,
        quantiles: Quantiles,
        quantiles_path: Path,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        key: str,
        other: str,
    ) -> None:
        metadata = RunMetadata.from_header({**quantiles.header, key: other})
        said = f"{key.removeprefix('vepscore').lower()}: found {quantiles.header[key]}, expected {other}"
        with pytest.raises(UsageError) as raised:
            find_quantiles(job, metadata)
        lines = str(raised.value).splitlines()
        assert lines[0] == f"--quantiles {quantiles_path.parent}"
        assert f"  {NAME}: {said}" in lines

        copy = with_quantiles(Path(job.model.checkpoint), quantiles_path, tmp_path)
        default = job.changed(checkpoint=str(copy), quantiles=None)
        with caplog.at_level(logging.INFO, "vepscore"):
            assert find_quantiles(default, metadata) is None
        assert f"no quantiles from {NAME}: {said}" in caplog.messages
        assert find_quantiles(default, quantiles.metadata).digest == quantiles.digest

    def test_those_of_another_checkpoint_are_refused_before_anything_is_scored(
        self, job: Job, tmp_path: Path
    ) -> None:
        other = job.changed(checkpoint=str(build_checkpoint(tmp_path, name="other")))
        with pytest.raises(UsageError, match=r"checkpoint: found tiny sha256:\w+, expected other sha256:\w+"):
            run_job(other, ignore)
        assert not any(path.exists() for path in paths_of(other))

    def test_of_several_the_matching_one_is_taken(
        self, job: Job, quantiles: Quantiles, quantiles_path: Path, tmp_path: Path
    ) -> None:
        shutil.copy(quantiles_path, tmp_path)
        table = pq.read_table(quantiles_path)
        wide = quantiles.header | {"vepscoreWindow": "32768 bp"}
        name = quantiles_name("human", 32_768, "float32")
        pq.write_table(table.replace_schema_metadata(wide), tmp_path / name)
        both = job.changed(quantiles=tmp_path)
        assert find_quantiles(both, quantiles.metadata).digest == quantiles.digest
        assert find_quantiles(both, RunMetadata.from_header(wide)).name == name

    def test_another_alignment_is_warned_of(
        self, job: Job, quantiles: Quantiles, caplog: pytest.LogCaptureFixture
    ) -> None:
        found = find_quantiles(job, RunMetadata.from_header({**quantiles.header, "vepscoreAlign": "128 bp"}))
        assert found.digest == quantiles.digest
        assert "the background was scored with align 1 bp, this run with 128 bp" in caplog.text

    def test_indels_scored_in_other_windows_are_not_ranked(
        self, job: Job, quantiles: Quantiles, caplog: pytest.LogCaptureFixture
    ) -> None:
        metadata = dataclasses.replace(quantiles.metadata, indel_anchor=IndelAnchor.BOTH)
        with caplog.at_level(logging.INFO, "vepscore"):
            found = find_quantiles(job, metadata)
        assert (
            "no quantiles of indels: indel anchor left in the background, both in this run" in caplog.messages
        )
        assert found.kinds.keys() == {AlleleKind.SUBSTITUTION}
        same = find_quantiles(
            job, RunMetadata.from_header({**quantiles.header, "vepscoreIndelAnchor": "left"})
        )
        assert same.kinds.keys() == set(AlleleKind)

    def test_kind_that_the_background_lacks_is_named(
        self, job: Job, background_job: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = write_vcf(tmp_path / "snvs.vcf", *SNVS)
        path, _ = calibrate(background_job.changed(source=str(source)), tmp_path / "snvs", ignore)
        snvs = read_quantiles(path)
        with caplog.at_level(logging.INFO, "vepscore"):
            find_quantiles(job.changed(quantiles=path), snvs.metadata)
        assert f"quantiles: {NAME}, {len(SNVS)} substitutions, 0 indels" in caplog.messages
        assert "no quantiles of indels: the background has none" in caplog.messages

    def test_scorers_without_a_background_are_named(
        self, job: Job, quantiles: Quantiles, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "vepscore"):
            find_quantiles(
                job, RunMetadata.from_header({**quantiles.header, "vepscoreScorers": "ATAC,DNASE"})
            )
        assert "no quantiles of ATAC: the background has no scores of them" in caplog.messages

    @pytest.mark.parametrize(
        ("scorers", "is_ranked"),
        [
            (("SPLICE_SITES", "SPLICE_SITE_USAGE", "DNASE"), True),
            (("SPLICE_SITES",), False),
            (("SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS"), False),
        ],
    )
    def test_composite_of_other_parts_is_not_ranked(
        self, quantiles: Quantiles, scorers: tuple[str, ...], is_ranked: bool
    ) -> None:
        """In a background of the scores 1, 2 and 3 of two parts."""
        fields = ("VS_SPLICE", "VS_SS", "VS_SSU")
        values, _ = quantiles_of(np.array([[1], [2], [3]], np.float32).repeat(3, axis=1))
        known = Backgrounds(grid=GRID, values=values, is_signed=np.zeros(3, bool))
        of_kind = KindQuantiles(scorers={}, fields=fields, of_fields=known)
        whole = dataclasses.replace(quantiles, kinds={AlleleKind.SUBSTITUTION: of_kind})
        allele = AlleleResult(alt="~", status=Status.OK, fields={"VS_SPLICE": 2.0, "VS_SS": 2.0})
        (record,) = make_records(vcf_row("chr1", 17_001, 1, "~"))
        matched = match_composite(whole, load_scorers(scorers))
        ranked = matched.rank_fields(RecordResult(record=record, alleles=(allele,))).alleles[0].fields
        assert ranked["VS_SS_Q"] == 0.5
        assert ranked.get("VS_SPLICE_Q") == (0.5 if is_ranked else None)

    def test_folder_without_any_is_refused(self, job: Job, quantiles: Quantiles, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="found no quantiles-"):
            find_quantiles(job.changed(quantiles=tmp_path / "nowhere"), quantiles.metadata)

    def test_damaged_ones_are_an_error_by_default_too(
        self, job: Job, quantiles: Quantiles, tmp_path: Path
    ) -> None:
        copy = shutil.copytree(job.model.checkpoint, tmp_path / "copy")
        (copy / NAME).write_bytes(b"PAR1")
        with pytest.raises(CheckpointError) as raised:
            find_quantiles(job.changed(checkpoint=str(copy), quantiles=None), quantiles.metadata)
        assert "--no-quantiles" in raised.value.hint


class TestPartsOfARun:
    def test_interrupted_run_resumes(self, job: Job) -> None:
        run_job(job, ignore)
        expected = contents(job)
        for path in paths_of(job):
            path.unlink()
        with pytest.raises(Killed):
            run_job(job, killed_after(2))
        assert run_job(job, ignore).counts.resumed == 2
        assert contents(job) == expected

    def test_it_does_not_go_on_with_other_quantiles(
        self, job: Job, background_job: Job, tmp_path: Path
    ) -> None:
        other = other_quantiles(background_job, tmp_path)
        with pytest.raises(Killed):
            run_job(job, killed_after(2))
        for quantiles in (other, None):
            with pytest.raises(OutputError, match=r"vepscoreQuantiles: found quantiles-human.* expected"):
                run_job(job.changed(quantiles=quantiles), ignore)

    def test_shards_merge_into_what_one_run_writes(
        self, job: Job, background_job: Job, tmp_path: Path
    ) -> None:
        run_job(job, ignore)
        parts = [renamed(job, f"{n}.", shard=Shard(n, 2)) for n in (1, 2)]
        for part in parts:
            run_job(part, ignore)
        merged = renamed(job, "merged.")
        for output, *paths in zip(*map(paths_of, (merged, *parts)), strict=True):
            merge(paths, str(output))
        assert contents(merged) == contents(job)

        other = other_quantiles(background_job, tmp_path)
        run_job(parts[1].changed(quantiles=other), ignore)
        for output, *paths in zip(*map(paths_of, (merged, *parts)), strict=True):
            with pytest.raises(InputError, match="only in this one: ##vepscoreQuantiles=quantiles-human"):
                merge(paths, str(output))

    @pytest.mark.slow
    def test_workers_of_a_cluster_give_the_same_bytes(
        self, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JAX_PLATFORMS", "cpu")
        run_job(job.changed(device="cpu"), ignore)
        on_workers = renamed(job, "cluster.", device="cpu", cluster="local:1")
        run_job(on_workers, ignore)
        assert contents(on_workers) == contents(job)
