"""The Python API on the tiny genome: its tables, what it accepts, what it keeps, and what it leaves alone."""

import doctest
import os
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import vepscore
from tests.alphagenome_objects import Interval, Variant
from tests.builders import WINDOW_BP, build_checkpoint, build_genome, sequences, vcf_row, write_vcf
from vepscore import api
from vepscore.errors import GenomeError, UsageError
from vepscore.genome.alleles import Status
from vepscore.io.tidy import FRAME_SCHEMA, SCHEMA
from vepscore.report import ranked_frame

# The columns of alphagenome's tidy_scores, in its order, but for those about what no track of ours has:
# biosample_type, gtex_tissue, transcription_factor and histone_mark.
# Source: alphagenome 0.4, src/alphagenome/models/variant_scorers.py, tidy_anndata and tidy_scores.
TIDY_SCORES = [
    *("variant_id", "scored_interval", "gene_id", "gene_name", "gene_type", "gene_strand"),
    *("junction_Start", "junction_End", "output_type", "variant_scorer", "track_name", "track_strand"),
    *("Assay title", "ontology_curie", "biosample_name", "raw_score", "quantile_score"),
]
SNV, INSERTION = "chr1:14200:C>A", "chr1:17150:G>GAT"
UNSCORED = {  # by status
    "chr1:14200:G>A": Status.REF_MISMATCH,
    "chr9:100:A>C": Status.OFF_REFERENCE,
    "chr1:14200:C>N": Status.NON_ACGT,
    "chr2:7000:N>A": Status.NON_ACGT,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples of the docstrings name."""
    folder = tmp_path_factory.mktemp("api")
    genome = build_genome(folder)
    genome.fasta.rename(folder / "hg38.fa")
    (folder / "gencode.gtf.gz").write_bytes(genome.gtf.read_bytes())  # the content decides, not the name
    build_checkpoint(folder)
    write_vcf(folder / "in.vcf", vcf_row("chr1", 14_199, 1, "~"))
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> vepscore.Model:
    return load(folder)


def load(folder: Path, **options: object) -> vepscore.Model:
    files = {"reference": folder / "hg38.fa", "genes": folder / "gencode.gtf.gz"}
    return vepscore.load(folder / "tiny", **files, window=WINDOW_BP, **options)


def as_objects(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without dtypes, which depend on the categories and nulls of each."""
    return frame.astype(object).where(frame.notna(), None)


def test_columns_are_those_of_tidy_scores_and_ours() -> None:
    ours = {"record", "alt_index", "chrom", "pos", "ref", "alt", "site_pos", "track_index"}
    assert [name for name in SCHEMA.names if name not in ours] == TIDY_SCORES
    assert set(FRAME_SCHEMA.names) - set(SCHEMA.names) == {"status", "reason"}


def test_rows_are_those_of_the_parquet_table(model: vepscore.Model, folder: Path, tmp_path: Path) -> None:
    rows = [vcf_row("chr1", 14_199, 1, "A"), vcf_row("chr1", 17_149, 1, "GAT")]
    outputs = [tmp_path / "out.parquet", tmp_path / "out.vcf"]
    report = model.score_vcf(write_vcf(tmp_path / "in.vcf", *rows), outputs)
    assert (report.counts.records, report.counts.scored) == (2, 2)
    frame = model.score([SNV, INSERTION])
    table = pd.read_parquet(outputs[0])
    assert list(frame.columns) == FRAME_SCHEMA.names
    pd.testing.assert_frame_equal(as_objects(frame[SCHEMA.names]), as_objects(table))
    assert set(frame["status"]) == {"OK"} and frame["reason"].isna().all()
    assert set(frame["variant_id"]) == {SNV, INSERTION}
    assert set(frame["scored_interval"]) == {"chr1:6008-22392:.", "chr1:8958-25342:."}
    assert "VS_SPLICE=" in outputs[1].read_text()


def test_every_variant_is_in_the_table_scored_or_not(model: vepscore.Model) -> None:
    variants = [*UNSCORED, SNV, *reversed(UNSCORED)]
    frame = model.score(variants)
    assert frame.drop_duplicates("record")["variant_id"].tolist() == variants
    unscored = frame[frame["status"] != "OK"]
    assert unscored["status"].tolist() == [*UNSCORED.values(), *reversed(UNSCORED.values())]
    assert unscored["reason"].notna().all() and unscored["raw_score"].isna().all()
    assert frame.loc[frame["status"] == "OK", "raw_score"].notna().all()
    nulls = unscored.isna().all()
    assert set(nulls.index[~nulls]) == {
        *("variant_id", "record", "alt_index", "chrom", "pos", "ref", "alt", "status", "reason")
    }


def test_variant_that_no_scorer_applies_to_has_a_row(folder: Path) -> None:
    (row,) = load(folder, scorers=["RNA_SEQ"]).score("chr2:50:A>C").itertuples()
    assert row.status == "REF_MISMATCH" or row.status == "NOT_APPLICABLE"


def test_no_variants_give_an_empty_table(model: vepscore.Model) -> None:
    frame = model.score([])
    assert len(frame) == 0 and list(frame.columns) == FRAME_SCHEMA.names


def test_objects_of_alphagenome_are_accepted(model: vepscore.Model) -> None:
    variant = Variant("chr1", 14_200, "C", "A")
    pd.testing.assert_frame_equal(model.score(variant), model.score(SNV))
    pd.testing.assert_frame_equal(model.score([variant]), model.score([str(variant)]))
    by_object = model.predict(Interval("chr1", 14_100, 14_300), outputs=["SPLICE_SITES"])
    by_text = model.predict("chr1:14,101-14,300", outputs=["splice_sites"])
    np.testing.assert_array_equal(
        by_object["SPLICE_SITES"].reference, by_text["SPLICE_SITES"].reference, strict=True
    )
    around = model.predict(variant, outputs=["DNASE"], region=Interval("chr1", 14_100, 14_300))["DNASE"]
    assert around.start0[0] == 14_100 and around.alternate is not None
    pd.testing.assert_frame_equal(
        model.ism(Interval("chr1", 14_199, 14_200)), model.ism("chr1:14200-14200"), check_categorical=False
    )


@pytest.mark.parametrize("wrong", ["chr1:14200", "chr1:14200:C>", "1,2", 5, None, Interval("chr1", 5, 6)])
def test_what_is_no_variant_is_refused_before_anything_is_scored(
    model: vepscore.Model, wrong: object
) -> None:
    with pytest.raises(UsageError, match="expected"):
        model.score([SNV, wrong])


def test_errors_are_those_of_the_command_line(folder: Path, model: vepscore.Model) -> None:
    with pytest.raises(GenomeError, match=r"absent\.fa"):
        vepscore.load(folder / "tiny", reference=folder / "absent.fa").score(SNV)
    with pytest.raises(vepscore.VepscoreError, match="no such"):
        vepscore.load("no such checkpoint", reference=folder / "hg38.fa")
    with pytest.raises(UsageError, match="window"):
        vepscore.load(folder / "tiny", reference=folder / "hg38.fa", window="17kb")
    with pytest.raises(TypeError, match="windows"):
        vepscore.load(folder / "tiny", reference=folder / "hg38.fa", windows="16kb")
    with pytest.raises(UsageError, match=r"out\.txt"):
        model.score_vcf(folder / "in.vcf", folder / "out.txt")


def test_table_and_file_are_ranked_alike(model: vepscore.Model, tmp_path: Path) -> None:
    rows = [vcf_row("chr1", 14_199, 1, "A"), vcf_row("chr1", 17_149, 1, "GAT")]
    model.score_vcf(write_vcf(tmp_path / "in.vcf", *rows), tmp_path / "out.parquet")
    of_file = vepscore.rank(tmp_path / "out.parquet")
    # Two calls, each of which counts its variants from 0.
    frames = [model.score([SNV]), model.score([INSERTION, "chr1:14200:G>A"])]
    of_table = vepscore.rank(pd.concat(frames))
    assert of_table["status"].tolist() == ["OK", "OK", "REF_MISMATCH"]
    assert of_table["rank"].isna().tolist() == [False, False, True]
    columns = ["rank", "chrom", "pos", "ref", "alt", "VS_SPLICE", "gene", "maxima"]
    pd.testing.assert_frame_equal(of_table[columns][:2], of_file[columns], check_dtype=False)


def test_ism_scores_as_score_does(model: vepscore.Model, folder: Path) -> None:
    frame = model.ism("chr1:14200-14201", align=1)
    scored = load(folder, scorers=["SPLICE_SITES"]).score([*dict.fromkeys(frame["variant_id"])])
    largest = scored.groupby(["variant_id", "gene_id"], observed=True)["raw_score"].max()
    sites = frame[frame["variant_scorer"] == "SPLICE_SITES"].set_index(["variant_id", "gene_id"])["raw_score"]
    assert len(sites) == len(largest) > 0
    pd.testing.assert_series_equal(sites.sort_index(), largest.sort_index(), check_index_type=False)


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """The programs that JAX compiles, or takes from its cache, during a test."""
    found: list[str] = []

    def listen(event: str, seconds: float, **details: object) -> None:
        if event.endswith("backend_compile_duration"):
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


def test_later_calls_compile_nothing(folder: Path, compilations: list[str]) -> None:
    model = load(folder, scorers=["DNASE"])
    first = model.score(SNV)
    assert compilations
    compilations.clear()
    again = model.score("chr1:14250:" + ">".join([sequences()["chr1"][14_249], "A"]))
    assert compilations == []
    assert len(again) == len(first)


def test_no_setting_of_the_process_changes(folder: Path, tmp_path: Path) -> None:
    def settings() -> tuple[dict[str, object], dict[str, str]]:
        return dict(jax.config.values), dict(os.environ)

    before = settings()
    model = load(folder, scorers=["DNASE"])
    model.score(SNV)
    model.score_vcf(folder / "in.vcf", tmp_path / "out.parquet")
    model.predict("chr1:14,101-14,300", outputs=["DNASE"])
    model.ism("chr1:14200-14200")
    assert settings() == before


EXAMPLES = [
    example
    for module in (api, ranked_frame)
    for example in doctest.DocTestFinder().find(module)
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name.rpartition(".")[2])
def test_example_of_the_docstring(
    example: doctest.DocTest, folder: Path, model: vepscore.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    example.globs = {"vepscore": vepscore, "model": model}
    assert doctest.DocTestRunner().run(example).failed == 0


def test_every_public_function_has_an_example() -> None:
    methods = [name for name in vars(vepscore.Model) if not name.startswith("_")]
    assert {example.name.rpartition(".")[2] for example in EXAMPLES} == {"load", "rank", *methods}
