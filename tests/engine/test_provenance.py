"""Every output says what it was made of, and the same run says the same."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

import vepscore
from tests.builders import TinyGenome
from tests.engine.jobs import tiny_job
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.provenance import describe_run, match_scores
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.io.run_metadata import RunMetadata
from vepscore.model.checkpoint import Checkpoint


@pytest.fixture
def options(
    genome: TinyGenome, preparer: AllelePreparer, checkpoint: Checkpoint, checkpoint_folder: Path
) -> dict[str, object]:
    job = tiny_job(
        genome,
        checkpoint_folder,
        "my file.vcf",
        polya=genome.polya,
        command=("vepscore", "score", "my file.vcf", "-r", "tiny.fa"),
        engine="dense",
    )
    return {
        "job": job,
        "preparer": preparer,
        "checkpoint": checkpoint,
        "scorers": load_scorers(["ATAC", "RNA_SEQ"]),
        "precision": "float32",
        "rotary_dtype": "bfloat16",
    }


def named_and_hashed(path: Path) -> str:
    return f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_facts_of_a_run(options: dict[str, object], genome: TinyGenome, checkpoint_folder: Path) -> None:
    sums = hashlib.sha256((checkpoint_folder / "SHA256SUMS").read_bytes()).hexdigest()
    facts = describe_run(**options).to_header()
    assert facts == {
        "vepscoreVersion": vepscore.__version__,
        "vepscoreCommand": "vepscore score 'my file.vcf' -r tiny.fa",
        "vepscoreCheckpoint": f"tiny sha256:{sums}",
        "vepscoreReference": named_and_hashed(genome.fasta),
        "vepscoreAnnotation": named_and_hashed(genome.gtf),
        "vepscorePolyA": named_and_hashed(genome.polya),
        "vepscoreOrganism": "human",
        "vepscoreWindow": "16384 bp",
        "vepscoreAlign": "1 bp",
        "vepscoreStrand": "+",
        "vepscoreOnRefMismatch": "skip",
        "vepscoreAlleles": "normalised",
        "vepscoreIndelAnchor": "left",
        "vepscorePrecision": "float32",
        "vepscoreRotary": "bfloat16",
        "vepscoreEngine": "dense",
        "vepscoreScorers": "ATAC,RNA_SEQ",
        "vepscoreUse": "research; not for clinical use",
    }
    assert list(facts.items()) == list(describe_run(**options).to_header().items())


@pytest.mark.parametrize(
    ("align_bp", "strand", "as_written", "anchor"),
    [(1, "+", False, "both"), (4096, "-", False, "left"), (128, "+", True, "left")],
)
def test_predictions_are_made_in_windows_like_those_of_the_scores(
    options: dict[str, object], align_bp: int, strand: str, as_written: bool, anchor: str
) -> None:
    scores = RunMetadata(
        window_bp=16_384,
        align_bp=align_bp,
        strand=strand,
        as_written=as_written,
        indel_anchor=IndelAnchor(anchor),
    )
    job = options["job"]
    matched = match_scores(job.changed(window=None), scores)
    windows, alleles = matched.windows, matched.alleles
    assert (windows.window, windows.align, windows.strand.sign) == (16_384, align_bp, strand)
    assert (alleles.as_written, alleles.indel_anchor) == (as_written, anchor)
    wider = dataclasses.replace(scores, align_bp=8_192)  # more than a quarter of the window
    assert match_scores(job.changed(window=16_384), wider).windows.align == 1


def test_predictions_without_scores_keep_their_options(options: dict[str, object]) -> None:
    assert match_scores(options["job"], None) == options["job"]


def test_predictions_for_scores_of_an_earlier_version_are_left_anchored(options: dict[str, object]) -> None:
    scores = RunMetadata.from_header({"vepscoreAlign": "many"})
    matched = match_scores(options["job"], scores)
    assert (matched.windows.align, matched.alleles.indel_anchor) == (1, IndelAnchor.LEFT)


def test_what_was_not_given_is_not_mentioned(options: dict[str, object], preparer: AllelePreparer) -> None:
    bare = dataclasses.replace(preparer, annotation=None, polya=None)
    job = options["job"].changed(genes=None, polya=None)
    facts = describe_run(**options | {"preparer": bare, "job": job}).to_header()
    assert facts.keys().isdisjoint({"vepscoreAnnotation", "vepscorePolyA", "vepscoreTerms"})


def test_terms_of_the_checkpoint_are_repeated(options: dict[str, object], checkpoint: Checkpoint) -> None:
    config = dataclasses.replace(checkpoint.config, terms_notice="non-commercial use only")
    facts = describe_run(
        **options | {"checkpoint": dataclasses.replace(checkpoint, config=config)}
    ).to_header()
    assert list(facts.items())[-1] == ("vepscoreTerms", "non-commercial use only")


def test_command_is_that_of_any_run_with_the_same_scores(options: dict[str, object]) -> None:
    """Leave out where outputs go and how the work is divided, so that the same scores are the same bytes."""
    bare = ("vepscore", "score", "in.vcf", "-r", "tiny.fa", "--align", "128")
    divided = ("vepscore", "score", "in.vcf", "-o", "a.vcf", "-ob.vcf", "--output=c.bcf", "--table", "t.tsv")
    divided += ("-r", "tiny.fa", "--shard", "1/2", "--cluster=local:2", "--no-resume", "-q", "--align", "128")
    divided += ("--json-summary", "s.json", "--strict")
    jobs = [options["job"].changed(command=words) for words in (bare, divided)]
    commands = [describe_run(**options | {"job": job}).command for job in jobs]
    assert commands == ["vepscore score in.vcf -r tiny.fa --align 128"] * 2
