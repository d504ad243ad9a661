"""A job from its options to its outputs, which appear together or not at all."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import jax
import pandas as pd
import pytest

from tests.builders import CONTIGS, WINDOW_BP, TinyGenome, build_genome, vcf_row, write_vcf
from tests.engine.jobs import output_files, path_of, paths_of, renamed, tiny_job
from tests.io.samples import read_all
from vepscore.engine.job import Job, check_outputs
from vepscore.engine.run_job import JobReport, run_job
from vepscore.engine.scored_records import RunCounts
from vepscore.errors import GenomeError, InputError, OutputError, UsageError
from vepscore.genome.alleles import Status
from vepscore.io.merging import merge
from vepscore.io.output_file import OutputFile
from vepscore.options.option_types import MismatchPolicy, Shard
from vepscore.threads import count_threads

ROWS = (
    vcf_row("chr1", 16_000, 1, "~", "<DEL>"),
    vcf_row("chr1", 17_000, 2, "~", name="rs2"),
    vcf_row("chr1", 18_000, 1),
)
META = ("##fileformat=VCFv4.2", '##contig=<ID=chr1,length=30000,assembly="GRCh38">')


@pytest.fixture(autouse=True)
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is parsed and hashed in a folder of these tests."""
    monkeypatch.setenv("VEPSCORE_CACHE", str(folder / "cache"))


@pytest.fixture
def job(genome: TinyGenome, checkpoint_folder: Path, tmp_path: Path) -> Job:
    """Of two quick scorers, with every kind of output."""
    return tiny_job(
        genome,
        checkpoint_folder,
        write_vcf(tmp_path / "in.vcf", *ROWS, meta=META),
        outputs=(str(tmp_path / "out.vcf"), str(tmp_path / "out.parquet")),
        table=tmp_path / "out.tsv",
        spliceai=tmp_path / "out.spliceai.vcf",
        scorers=("DNASE", "SPLICE_EVENTS"),
    )


def finish(job: Job) -> tuple[JobReport, list[tuple[int, int | None]]]:
    """The report, and what an observer sees: records so far and in all. Scoring here leaves the process as it was."""
    seen: list[tuple[int, int | None]] = []
    before = dict(os.environ), dict(jax.config.values)
    report = run_job(job, lambda counts, total: seen.append((counts.records, total)))
    assert job.run.cluster is not None or (dict(os.environ), dict(jax.config.values)) == before
    return report, seen


def unscored(job: Job, *rows: tuple[str, ...], meta: tuple[str, ...] = META) -> Job:
    """The job with rows of which no allele can be scored, so that nothing is compiled."""
    source = write_vcf(Path(job.source).with_name("unscored.vcf"), *rows, meta=meta)
    return job.changed(source=str(source))


def test_spliceai_of_a_gene_on_two_strands_is_the_largest_of_both(job: Job, tmp_path: Path) -> None:
    genes = tmp_path / "two_strands.gtf"
    text = job.genome.genes.read_text().replace('gene_id "MINUS"', 'gene_id "PLUS"')
    genes.write_text(text.replace('gene_name "Minus"', 'gene_name "Plus"'))
    run_job(job.changed(genes=genes), lambda counts, total: None)
    long = pd.read_parquet(path_of(job, "long_table")).query(
        "record == 0 and variant_scorer == 'SPLICE_EVENTS'"
    )
    rows = [long.iloc[start : start + 4] for start in (0, 4)]  # of each locus, in the order of the field
    assert len(long) == 8 and set(long["gene_id"]) == {"PLUS"}
    strongest = [
        max((rows[0].iloc[kind], rows[1].iloc[kind]), key=lambda row: abs(row.raw_score)) for kind in range(4)
    ]
    assert {row.track_strand for row in strongest} == {"+", "-"}
    _, (line, *_) = read_all(path_of(job, "spliceai"))
    alt, name, *numbers = line.line.decode().split("\t")[7].removeprefix("SpliceAI=").split("|")
    assert (alt, name) == (line.alts[0], "Plus")
    assert numbers[:4] == [f"{abs(row.raw_score):.2f}" for row in strongest]
    assert numbers[4:] == [str(int(row.site_pos) - line.pos1) for row in strongest]
    assert len(read_all(path_of(job, "spliceai"))[1]) == 2  # of two alleles


def test_alt_equal_to_ref_is_0_in_every_output(job: Job) -> None:
    chrom, pos1, name, ref, _ = ROWS[0]
    run_job(
        job.changed(source=str(write_vcf(Path(job.source), (chrom, pos1, name, ref, ref), meta=META))),
        lambda counts, total: None,
    )
    _, (record,) = read_all(path_of(job, "vcf"))
    info = dict(pair.partition("=")[::2] for pair in record.line.decode().split("\t")[7].split(";"))
    assert (info["VS_STATUS"], info["VS_DNASE"]) == ("OK", "0")
    assert {entry.split("|")[4] for entry in info["VS"].split(",")} == {"0"}
    assert pd.read_csv(path_of(job, "table"), sep="\t", comment="#")["VS_DNASE"].tolist() == [0.0]
    assert (pd.read_parquet(path_of(job, "long_table"))["raw_score"] == 0).all()
    _, lines = read_all(path_of(job, "spliceai"))
    found = {line.line.decode().split("|", 2)[2] for line in lines}
    assert (len(lines), found) == (2, {"0.00|0.00|0.00|0.00|0|0|0|0"})


@pytest.mark.parametrize("name", ["i_more_samples", "j_no_sample_header", "k_dup_sample", "c_hail_format"])
def test_columns_are_refused_before_the_checkpoint_is_opened(job: Job, name: str) -> None:
    source = Path(__file__).parents[1] / "cases" / "columns" / f"{name}.vcf"
    with pytest.raises(InputError, match=rf"{name}\.vcf (record 0 \()?line [45]"):
        run_job(job.changed(source=str(source), checkpoint="absent"), lambda counts, total: None)
    assert not any(path.exists() for path in paths_of(job))


def declared_contigs(path: str) -> dict[str, str]:
    header, _ = read_all(path)
    return header.declared("contig")


def test_job_writes_all_outputs_and_reports(job: Job) -> None:
    report, seen = finish(job)
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert report.counts.statuses == {Status.OK: 2, Status.SYMBOLIC: 1}
    assert (report.excluded, report.precision) == ({}, "float32")
    header, records = read_all(path_of(job, "vcf"))
    assert header.meta[: len(META)] == META
    expected = {
        "##vepscoreCommand=vepscore score",
        "##vepscoreScorers=DNASE,SPLICE_EVENTS",
        "##vepscoreRotary=float32",
        f"##vepscoreWindow={WINDOW_BP} bp",
    }
    assert expected <= set(header.meta)
    assert [record.line.split(b"\t")[:5] for record in records] == [
        [cell.encode() for cell in row] for row in ROWS
    ]
    table = pd.read_csv(path_of(job, "table"), sep="\t", comment="#")
    assert table["VS_STATUS"].tolist() == ["OK", "SYMBOLIC", "OK"]
    assert table["VS_DNASE"].notna().tolist() == [True, False, True]
    long = pd.read_parquet(path_of(job, "long_table"))
    assert set(zip(long["record"], long["alt_index"], strict=True)) == {(0, 0), (1, 0)}
    assert set(long["variant_scorer"]) == {"DNASE", "SPLICE_EVENTS"}
    assert_spliceai_says_what_the_table_does(path_of(job, "spliceai"), long)


def assert_spliceai_says_what_the_table_does(path: Path, long: pd.DataFrame) -> None:
    """In the form of SpliceAI: one ALT and gene a line, sizes, and distances from POS."""
    header, records = read_all(path)
    assert (
        "##vepscoreSpliceAICounts=4 lines of 2 alleles; left out: 1 not scored, 0 not applicable"
        in header.meta
    )
    assert set(header.declared("contig")) == {"chr1"}
    events = long[long["variant_scorer"] == "SPLICE_EVENTS"]
    found = []
    for record in records:
        alt, gene, *numbers = record.line.decode().split("\t")[7].removeprefix("SpliceAI=").split("|")
        assert record.alts == (alt,)
        found += [(record.pos1, gene, *pair) for pair in zip(numbers[:4], numbers[4:], strict=True)]
    assert found == [
        (row.pos, row.gene_name, f"{abs(row.raw_score):.2f}", str(int(row.site_pos - row.pos)))
        for row in events.itertuples()
    ]


def test_scorers_that_cannot_run_are_reported(job: Job) -> None:
    bare = unscored(job, ROWS[2]).changed(genes=None, scorers=None, outputs=without_spliceai(job))
    report, _ = finish(bare)
    assert report.excluded["RNA_SEQ"] == "needs genes: pass --genes"
    header, _ = read_all(path_of(job, "vcf"))
    (scorers,) = (line for line in header.meta if line.startswith("##vepscoreScorers="))
    assert "RNA_SEQ" not in scorers and "CONTACT_MAPS" in scorers


def test_failure_leaves_nothing(job: Job) -> None:
    chrom, pos1, name, _, alt = ROWS[1]
    strict = unscored(job, ROWS[2], (chrom, pos1, name, "TTTT", alt))
    strict = strict.changed(on_ref_mismatch=MismatchPolicy.ERROR)
    before = set(Path(job.source).parent.iterdir())
    with pytest.raises(GenomeError) as raised:
        run_job(strict, lambda counts, total: None)
    first, second, _ = str(raised.value).splitlines()
    assert first.endswith(f"unscored.vcf record 1, chr1:{pos1} TTTT>{alt}")
    assert second.endswith("; the header says assembly=GRCh38")
    assert set(Path(job.source).parent.iterdir()) == before


def test_an_output_that_htslib_refuses_at_the_end_takes_the_others_along(job: Job) -> None:
    """A sample's column without a value: text has room for it, BCF has not."""
    text = Path(unscored(job, ROWS[2]).source).read_text()
    columns, record = text.splitlines()[-2:]
    declared = '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">'
    source = Path(job.source).with_name("empty.vcf")
    source.write_text("\n".join([*META, declared, f"{columns}\tFORMAT\ts1", f"{record}\tGT\t", ""]))
    bcf = str(source.with_name("out.bcf"))
    refused = job.changed(source=str(source), outputs=(*job.outputs, *output_files(bcf)))
    before = set(source.parent.iterdir())
    with pytest.raises(OutputError, match="cannot be written as BCF"):
        run_job(refused, lambda counts, total: None)
    assert set(source.parent.iterdir()) == before


def test_body_on_declared_contigs_adds_none(job: Job) -> None:
    finish(unscored(job, ROWS[2]))
    assert declared_contigs(path_of(job, "vcf")) == {"chr1": META[1]}


def test_missing_contigs_are_declared_with_the_lengths_of_the_reference(job: Job) -> None:
    finish(unscored(job, ROWS[2], meta=META[:1]))
    assert declared_contigs(path_of(job, "vcf")) == {
        name: f"##contig=<ID={name},length={length}>" for name, length in CONTIGS.items()
    }


def test_missing_contigs_are_declared_as_the_vcf_names_them(job: Job) -> None:
    """Those that it uses and those that it does not; one that the reference lacks has no length."""
    row = ("1", *ROWS[2][1:])
    finish(unscored(job, row, ("decoy", "5", ".", "A", "."), meta=META[:1]))
    assert declared_contigs(path_of(job, "vcf")) == {
        "1": "##contig=<ID=1,length=30000>",
        "2": "##contig=<ID=2,length=24000>",
        "3": "##contig=<ID=3,length=6000>",
        "decoy": "##contig=<ID=decoy>",
    }


def test_contig_of_a_reference_without_chr_is_declared_as_the_vcf_names_it(job: Job, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    genome = build_genome(tmp_path / "plain", contigs=("1", "scaffold.1", "MT"))
    finish(unscored(job, ROWS[2], meta=META[:1]).changed(reference=genome.fasta))
    found = declared_contigs(path_of(job, "vcf"))
    assert found["chr1"] == "##contig=<ID=chr1,length=30000>"
    assert found["scaffold.1"] == "##contig=<ID=scaffold.1,length=24000>"
    assert "1" not in found


def test_contigs_without_genes_are_warned_of(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    genes = job.genome.genes.with_name("chr2_only.gtf")
    lines = job.genome.genes.read_text().splitlines(keepends=True)
    genes.write_text("".join(line.replace("chr1\t", "chr2\t") for line in lines))
    run_job(unscored(job, *ROWS[:1]).changed(genes=genes), lambda counts, total: None)
    assert "the annotation has no genes on chr1: no scores of genes there" in caplog.text


GRCH37 = ("##fileformat=VCFv4.2", "##reference=GRCh37", "##contig=<ID=1,length=30050,assembly=b37>")


def test_files_that_contradict_one_another_are_warned_of_once(
    job: Job, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    genes = tmp_path / "past.gtf"
    genes.write_text(job.genome.genes.read_text().replace("\t29800\t", "\t31800\t"))
    job = unscored(job, *ROWS[:1], meta=GRCH37).changed(genes=genes, json_summary=tmp_path / "run.json")
    report, _ = finish(job)
    (warning,) = report.warnings
    assert [one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == [warning.message]
    assert warning.message.splitlines()[1:4] == [
        "  header of unscored.vcf: 1 has 30,050 bp; states assembly=b37, reference=GRCh37",
        "  tiny.fa: chr1 has 30,000 bp",
        "  past.gtf: genes on chr1 up to 31,800",
    ]
    assert json.loads(job.run.json_summary.read_text())["warnings"] == [
        {"kind": "contradiction", "message": warning.message}
    ]


@pytest.mark.parametrize("piped", [False, True])
def test_contigs_that_are_not_on_the_reference_are_warned_of(job: Job, piped: bool) -> None:
    rows = [("NC_060925.1", *row[1:]) for row in ROWS]
    job = unscored(job, *rows, meta=META[:1])
    report = piped_in(job.changed(source="-"), Path(job.source)) if piped else finish(job)[0]
    assert [warning.message.splitlines()[:3] for warning in report.warnings] == [
        [
            "3 of 3 records are on contigs that tiny.fa does not have",
            "  the records: NC_060925.1",
            "  tiny.fa: chr1, chr2, chr3",
        ]
    ]


class Killed(BaseException):
    """What ends a run at once."""


def cut_off(job: Job, records: int) -> None:
    """Runs the job until so many records are written."""

    def observe(counts: RunCounts, total: int | None) -> None:
        if counts.records == records:
            raise Killed

    with pytest.raises(Killed):
        run_job(job, observe)


def contents(job: Job) -> list[bytes]:
    return [path.read_bytes() for path in paths_of(job)]


def names_in(job: Job) -> list[str]:
    return sorted(path.name for path in Path(job.source).parent.iterdir())


@pytest.mark.parametrize("records", [1, 2, 3])
def test_interrupted_run_resumes(job: Job, records: int) -> None:
    finish(job)
    expected, names = contents(job), names_in(job)
    for path in paths_of(job):
        path.unlink()
    cut_off(job, records)
    assert not any(path.exists() for path in paths_of(job))
    report, _ = finish(job)
    assert (report.counts.resumed, report.counts.records) == (min(records, 2), 3)
    assert contents(job) == expected
    assert names_in(job) == names


def test_what_a_killed_run_has_left_is_swept_up(job: Job) -> None:
    remains = path_of(job, "vcf").with_name(".0123abcd.out.vcf")
    others = [remains.with_name(name) for name in (".0123abcd.other.vcf", "0123abcd.out.vcf", ".xyz.out.vcf")]
    for path in (remains, *others):
        path.touch()
    finish(job)
    assert not remains.exists() and all(path.exists() for path in others)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"align": 128}, "vepscoreAlign: found 1 bp, expected 128 bp"),
        ({"as_written": True}, "vepscoreAlleles: found normalised, expected as written"),
    ],
)
def test_other_options_do_not_go_on(job: Job, options: dict[str, object], said: str) -> None:
    cut_off(job, 2)
    other = job.changed(**options)
    with pytest.raises(OutputError, match=said):
        finish(other)
    report, _ = finish(other.changed(resume=False))
    assert report.counts.resumed == 0


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="about the threads of a CPU")
def test_other_number_of_threads_does_not_go_on(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off(job, 2)
    monkeypatch.setenv("NPROC", "77")
    with pytest.raises(OutputError, match=r"threads \(NPROC\): found \d+, expected 77"):
        finish(job)


def test_changed_input_does_not_go_on(job: Job) -> None:
    cut_off(job, 2)
    write_vcf(Path(job.source), *ROWS[:2], meta=META)
    with pytest.raises(OutputError, match=r"input: found [0-9a-f]{64}, expected [0-9a-f]{64}"):
        finish(job)


def test_changed_reference_does_not_go_on(job: Job, tmp_path: Path) -> None:
    genome = build_genome(tmp_path)
    own = job.changed(reference=genome.fasta)
    cut_off(own, 2)
    text = genome.fasta.read_text()
    genome.fasta.write_text(text.replace("A", "C", 1))
    with pytest.raises(OutputError, match=r"vepscoreReference: found tiny\.fa sha256"):
        finish(own)


@pytest.mark.parametrize("changed", ["reference", "genes", "source"])
def test_file_that_changes_under_the_run_is_an_error(job: Job, tmp_path: Path, changed: str) -> None:
    genome = build_genome(tmp_path)
    own = job.changed(reference=genome.fasta, genes=genome.gtf)

    def observe(counts: RunCounts, total: int | None) -> None:
        if counts.records == 2:
            os.utime({"reference": genome.fasta, "genes": genome.gtf, "source": own.source}[changed], (1, 1))

    with pytest.raises(InputError, match="has changed while it was read; nothing was written"):
        run_job(own, observe)
    assert not any(path.exists() for path in paths_of(own))
    assert not list(tmp_path.glob(".*"))


def test_shards_merge_into_what_one_run_writes(job: Job) -> None:
    finish(job)
    parts = [renamed(job, f"{n}.").changed(shard=Shard(n, 3)) for n in (1, 2, 3)]
    totals = [finish(part)[1][-1] for part in parts]
    assert sum(records for records, _ in totals) == 3 and all(done == total for done, total in totals)
    merged = renamed(job, "merged.")
    for output, *paths in zip(*map(paths_of, (merged, *parts)), strict=True):
        merge(paths, str(output))
    assert contents(merged) == contents(job)


def test_shards_of_what_can_be_read_once_are_refused(job: Job) -> None:
    piped = job.changed(source="-", shard=Shard(1, 2))
    with pytest.raises(UsageError, match="can be read only once"):
        piped_in(piped, Path(job.source))


def piped_in(job: Job, source: Path) -> JobReport:
    with source.open() as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", file)
        return finish(job)[0]


def test_summary_has_the_facts_of_the_run(job: Job, tmp_path: Path) -> None:
    summary = tmp_path / "run.json"
    finish(job.changed(json_summary=summary))
    found = json.loads(summary.read_text())
    assert found["command"] == "vepscore score"
    assert found["versions"]["jax"] == jax.__version__
    assert found["input"] == {"path": job.source, "sha256": sha256(Path(job.source))}
    assert found["outputs"] == list(map(str, paths_of(job)))
    assert found["statuses"] == {"OK": 2, "SYMBOLIC": 1}
    assert (found["records"], found["records_resumed"], found["alleles"]) == (3, 0, 3)
    assert found["provenance"]["reference"] == f"tiny.fa sha256:{sha256(job.genome.reference)}"
    assert (found["device"], found["precision"], found["shard"]) == (jax.default_backend(), "float32", None)
    assert found["threads"] == (count_threads() if jax.default_backend() == "cpu" else None)
    assert found["warnings"] == []
    assert found["seconds"]["scoring"] > 0 and found["seconds"]["opening"] > 0


def test_summary_does_not_appear_without_the_results(job: Job, tmp_path: Path) -> None:
    cut_off(job.changed(json_summary=tmp_path / "run.json"), 2)
    assert not (tmp_path / "run.json").exists()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scorers": ("DNASE",)}, "SPLICE_EVENTS: is not among the scorers asked for"),
        ({"scorers": None, "genes": None}, "SPLICE_EVENTS: needs genes: pass --genes"),
        (
            {"scorers": None, "checkpoint": "with defaults"},
            "SPLICE_EVENTS: no default of this checkpoint; -s NAME or -s all runs them",
        ),
    ],
)
def test_form_of_spliceai_needs_splice_events(job: Job, changes: dict[str, object], said: str) -> None:
    if "checkpoint" in changes:
        changes = changes | {"checkpoint": str(with_scorers(job, "DNASE"))}
    before = names_in(job)
    with pytest.raises(UsageError) as caught:
        finish(job.changed(**changes))
    first, second, _ = str(caught.value).splitlines()
    assert first.startswith("--spliceai ") and second.strip() == said
    assert names_in(job) == before


def with_scorers(job: Job, *names: str) -> Path:
    """A checkpoint whose default scorers these are."""
    folder = shutil.copytree(job.model.checkpoint, Path(job.source).with_name("with_defaults"))
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scorers": names}))
    return folder


def test_default_scorers_score_as_if_they_were_named(job: Job) -> None:
    finish(job)
    expected = read_all(path_of(job, "vcf"))[1]
    defaults = job.changed(scorers=None, checkpoint=str(with_scorers(job, "DNASE", "SPLICE_EVENTS")))
    report, _ = finish(defaults)
    header, records = read_all(path_of(job, "vcf"))
    assert [record.line for record in records] == [record.line for record in expected]
    (line,) = [line for line in header.meta if line.startswith("##vepscoreScorersNotRun=")]
    assert report.excluded["ATAC"] == "no default of this checkpoint; -s NAME or -s all runs them"
    assert "ATAC," in line and "DNASE," not in line


def test_allele_outside_genes_is_counted_as_not_applicable_in_every_output(job: Job) -> None:
    outside = vcf_row("chr1", 9_000, 1, "~", "<DEL>")
    report, _ = finish(unscored(job, outside).changed(scorers=("SPLICE_EVENTS",)))
    assert report.counts.statuses == {Status.NOT_APPLICABLE: 1, Status.SYMBOLIC: 1}
    assert (report.counts.scored, report.counts.unscored) == (0, 1)
    table = pd.read_csv(path_of(job, "table"), sep="\t", comment="#")
    assert table["reason"][0] == "no scorer of the run applies: it overlaps no gene"
    assert len(pd.read_parquet(path_of(job, "long_table"))) == 0
    header, _ = read_all(path_of(job, "spliceai"))
    assert (
        "##vepscoreSpliceAICounts=0 lines of 0 alleles; left out: 1 not scored, 1 not applicable"
        in header.meta
    )


def without_spliceai(job: Job) -> tuple[OutputFile, ...]:
    return tuple(output for output in job.outputs if output.name != "spliceai")


def test_form_of_spliceai_changes_no_other_output(job: Job) -> None:
    finish(job)
    expected = contents(job)[:-1]
    finish(job.changed(outputs=without_spliceai(job)))
    assert contents(job)[:-1] == expected


def job_of(*outputs: str, **others: str) -> Job:
    """A job that is not run: its files need not exist."""
    genome = TinyGenome(fasta=Path("ref.fa"), gtf=Path("genes.gtf"), polya=Path("polya.tsv"))
    paths = {name: Path(path) for name, path in others.items()}
    return tiny_job(genome, Path("absent"), Path("in.vcf"), outputs=outputs, **paths)


@pytest.mark.parametrize(
    ("outputs", "others"),
    [
        (["-"], {}),
        (["a.vcf", "a.vcf.gz", "a.bcf", "a.parquet", "-"], {"table": "b.parquet"}),
        (["-"], {"table": "a.tsv.gz", "json_summary": "/dev/stderr"}),
        (["a.vcf"], {"json_summary": "-"}),
    ],
)
def test_outputs_of_all_kinds_are_accepted(outputs: list[str], others: dict[str, str]) -> None:
    check_outputs(job_of(*outputs, **others))


@pytest.mark.parametrize(
    ("outputs", "others", "said"),
    [
        (["a.txt"], {}, "output a.txt\nexpected a name that ends in .vcf, .vcf.gz, .bcf or .parquet"),
        (["-"], {"table": "a.csv"}, "output a.csv\nexpected a name that ends in .tsv, .tsv.gz or .parquet"),
        (["a.vcf", "b.bcf", "a.vcf"], {}, "duplicate output path: a.vcf"),
        (["-", "-"], {}, "duplicate output path: -"),
        (["-"], {"json_summary": "-"}, "duplicate output path: -"),
        (["a.parquet"], {"table": "a.parquet"}, "duplicate output path: a.parquet"),
        (["a.vcf", "./a.vcf"], {}, "duplicate output path: a.vcf, ./a.vcf"),
        (
            ["folder/../a.parquet"],
            {"table": "a.parquet"},
            "duplicate output path: folder/../a.parquet, a.parquet",
        ),
        (["./in.vcf"], {}, "output ./in.vcf would replace an input"),
        (["a.vcf"], {"table": "polya.tsv", "polya": "polya.tsv"}, "output polya.tsv would replace an input"),
        (["a.vcf"], {"json_summary": "ref.fa.fai"}, "output ref.fa.fai would replace an input"),
        (["a.vcf"], {"json_summary": ".a.vcf.vepscore-progress"}, "duplicate output path: "),
        (["a.vcf"], {"spliceai": "a.bcf"}, "output a.bcf\nexpected a name that ends in .vcf or .vcf.gz"),
        (["a.vcf"], {"spliceai": "./a.vcf"}, "duplicate output path: a.vcf"),
    ],
)
def test_impossible_outputs_are_refused(outputs: list[str], others: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_outputs(job_of(*outputs, **others))
    assert str(caught.value).startswith(said.replace("\n", "\n  "))
