"""The sequence of other mammals: what is taken from a repository, and what it is called."""

import subprocess
from pathlib import Path

import pytest

from tests.train.scripts import run_script
from vepscore.genome.fasta import Reference


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with sequence of the mouse, the chicken and human, and other files."""
    folder = tmp_path / "repository"
    chunk = folder / "examples" / "cgp12way" / "minimalFasta27"
    chunk.mkdir(parents=True)
    (chunk / "mm10.MINIMAL.fasta").write_text(f">chr1_10_170\n\n{'ACGTTGCA' * 20}\n>chr5_3_9\nacg\ntn\n")
    (chunk / "galGal4.MINIMAL.fasta").write_text(">chr8_1_5\nGGGG\n")
    (chunk / "hg38.MINIMAL.fasta").write_text(">chr1_1_5\nCCCC\n")
    (chunk.parent / "chunks.stats").write_text("27\n")
    author = ("-c", "user.name=Doe", "-c", "user.email=doe@example.org")
    for arguments in (("init", "--quiet"), ("add", "."), (*author, "commit", "--quiet", "-m", "Sequence")):
        subprocess.run(["git", "-C", folder, *arguments], check=True)
    return folder


def last_commit(repository: Path) -> str:
    command = ["git", "-C", repository, "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_all_but_human_sequence_is_written_with_the_assembly_in_its_names(
    repository: Path, tmp_path: Path
) -> None:
    output = tmp_path / "mammals.fa.gz"
    found = run_script(
        "collect_mammals.py", "-o", output, "--repository", repository, "--commit", last_commit(repository)
    )
    assert (found.returncode, found.stdout) == (0, ""), found.stderr
    reference = Reference(output, tmp_path / "cache")
    assert reference.contigs == {"mm10_chr1_10_170": 160, "mm10_chr5_3_9": 5, "galGal4_chr8_1_5": 4}
    assert reference.fetch("mm10_chr1_10_170", 0, 160) == b"ACGTTGCA" * 20
    assert reference.fetch("mm10_chr5_3_9", 0, 5).upper() == b"ACGTN"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tmp")]  # the clone is removed


def test_an_error_says_what_git_said_and_leaves_no_file(repository: Path, tmp_path: Path) -> None:
    output, missing = tmp_path / "mammals.fa.gz", "0" * 40
    found = run_script("collect_mammals.py", "-o", output, "--repository", repository, "--commit", missing)
    assert found.returncode == 1 and missing in found.stderr and "--repository" in found.stderr
    assert not output.exists()
