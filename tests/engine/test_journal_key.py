"""A journal is used again only by a run with the same scores: every option that affects them is in its key."""

from pathlib import Path

import pytest

from tests.builders import WINDOW_BP, TinyGenome, build_checkpoint, build_genome
from tests.engine.jobs import tiny_job
from vepscore.engine.job import Job, resolve_defaults
from vepscore.engine.run_job import journal_key
from vepscore.engine.session import open_preparer, open_session
from vepscore.options.option_types import Shard

CHANGES: dict[str, object] = {
    "genes": None,
    "organism": "mouse",
    "precision": "bfloat16",
    "rotary": "bfloat16",
    "window": 2 * WINDOW_BP,
    "align": 128,
    "strand": "minus",
    "indel_anchor": "both",
    "on_ref_mismatch": "substitute",
    "as_written": True,
    "official": True,
    "scorers": ("ATAC",),
    "batch": 2,
    "parallelism": "sequence",
    "engine": "dense",
}
FILES = {"reference", "polya", "checkpoint"}
ELSEWHERE = {
    "quantiles",  # in test_quantile_choice
    "no_quantiles",
    "metadata",  # of a checkpoint in the official layout only
    "device",  # there is one kind here
    *("spliceai_distance", "spliceai_mask"),  # in networks/dilated/test_dilated_families.py
}


def key_of(job: Job) -> dict[str, str]:
    job = resolve_defaults(job)
    session = open_session(job, open_preparer(job, source="in.vcf", assembly=""))
    return journal_key(job, session.info, session.info.metadata, "sha256 of the input")


@pytest.fixture(scope="module")
def job(genome: TinyGenome, checkpoint_folder: Path) -> Job:
    return tiny_job(genome, checkpoint_folder, "in.vcf", scorers=("DNASE",))


@pytest.fixture(scope="module")
def key(job: Job) -> dict[str, str]:
    return key_of(job)


def test_every_option_that_affects_scores_is_tried(job: Job) -> None:
    affecting = {
        option.name
        for group in job.groups.values()
        for option in group.declared()
        if option.spec.affects_scores
    }
    assert affecting == CHANGES.keys() | FILES | ELSEWHERE


@pytest.mark.parametrize("name", CHANGES)
def test_option_that_affects_scores_changes_the_key(job: Job, key: dict[str, str], name: str) -> None:
    assert key_of(job.changed(**{name: CHANGES[name]})) != key


def test_file_that_affects_scores_changes_the_key(
    job: Job, key: dict[str, str], genome: TinyGenome, tmp_path: Path
) -> None:
    other = build_genome(tmp_path)
    other.fasta.write_text(other.fasta.read_text().replace("A", "C", 1))
    checkpoint = str(build_checkpoint(tmp_path, name="other"))
    for changes in ({"reference": other.fasta}, {"polya": genome.polya}, {"checkpoint": checkpoint}):
        assert key_of(job.changed(**changes)) != key


def test_other_options_leave_the_key_as_it_is(job: Job, key: dict[str, str]) -> None:
    divided = job.changed(
        shard=Shard(1, 2), resume=False, cluster="local:2", json_summary=Path("s.json"), strict=True
    )
    assert key_of(divided) == key
