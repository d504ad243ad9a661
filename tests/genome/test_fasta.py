"""Test that FASTA files are read like samtools does, wherever their index can be written."""

import contextlib
import csv
import gzip
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pysam
import pytest

from tests.paths import need
from vepscore.errors import GenomeError
from vepscore.genome import fasta_index
from vepscore.genome.fasta import Reference, reference_matches
from vepscore.paths import scratch_folder

TEXT = b">chr1 first\nACGTACGT\nacgtrnNN\nTTT\n>chrM\nGATTACA\n"
CHR1 = b"ACGTACGTACGTRNNNTTT"
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


@pytest.fixture(params=["plain", "bgzip"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "genome"
    folder.mkdir()
    return write(folder / "tiny.fa", TEXT) if request.param == "plain" else write_bgzip(folder / "tiny.fa.gz")


@pytest.fixture(autouse=True)
def cache_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VEPSCORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that cannot be written, even by root."""
    folders: list[Path] = []
    published = fasta_index.published

    @contextlib.contextmanager
    def guarded(target: Path) -> Iterator[Path]:
        if any(target.is_relative_to(folder) for folder in folders):
            raise PermissionError(13, "Permission denied", str(target))
        with published(target) as partial:
            yield partial

    monkeypatch.setattr(fasta_index, "published", guarded)
    return folders


def write(path: Path, contents: bytes) -> Path:
    path.write_bytes(contents)
    return path


def write_bgzip(path: Path, contents: bytes = TEXT) -> Path:
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(contents)
    return path


def set_age(path: Path, seconds: int) -> None:
    time_ns = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(time_ns, time_ns))


def suffixes(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir()} if folder.exists() else set()


def test_contigs(path: Path) -> None:
    assert Reference(path).contigs == {"chr1": 19, "chrM": 7}


@pytest.mark.parametrize(
    ("start0", "end0", "bases"),
    [
        (0, 19, CHR1),
        (6, 14, b"GTACGTRN"),
        (-3, 2, b"NNNAC"),
        (17, 22, b"TTNNN"),
        (-2, 21, b"NN" + CHR1 + b"NN"),
        (-5, -2, b"NNN"),
        (-5, 0, b"NNNNN"),
        (19, 21, b"NN"),
        (100, 103, b"NNN"),
        (4, 4, b""),
    ],
)
def test_fetch(path: Path, start0: int, end0: int, bases: bytes) -> None:
    assert Reference(path).fetch("chr1", start0, end0) == bases


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("> chr1", "chr1"),
        ("> chr1 first", "chr1"),
        (">\tchr1 first", "chr1"),
        (">chr1\tfirst", "chr1"),
        (">chr1\x0bfirst", "chr1"),
        (">chr1 \t", "chr1"),
        (">>chr1", ">chr1"),
        (">chr1 " + "x" * 70_000, "chr1"),
        (">", ""),
        ("> \t", ""),
    ],
)
def test_uncompressed_and_bgzip_have_the_names_of_samtools(
    tmp_path: Path, header: str, name: str, line_end: str
) -> None:
    text = f"{header}\nACGT\nAC\n>chr2\nGG\n".replace("\n", line_end).encode()
    for path in (write(tmp_path / "a.fa", text), write_bgzip(tmp_path / "a.fa.gz", text)):
        pysam.faidx(str(path))
        reference = Reference(path)
        assert reference.contigs == {name: 6, "chr2": 2}
        assert reference.fetch(name, 0, 6) == b"ACGTAC"


@pytest.mark.parametrize(
    "text",
    [
        b">chr1 once\nACGT\nAC\n>chr1 twice\nTTTT\n>chr2\nGG\n",
        b">chr1\nACGT \nAC\t\n\n>chr2\nGG\n",
        b">chr0\n>chr1\nACGT\nAC\n>chr2\nGG",
    ],
)
def test_uncompressed_and_bgzip_have_the_same_bases(tmp_path: Path, text: bytes) -> None:
    for path in (write(tmp_path / "a.fa", text), write_bgzip(tmp_path / "a.fa.gz", text)):
        reference = Reference(path)
        assert {name: reference.fetch(name, 0, end) for name, end in reference.contigs.items()} == {
            "chr1": b"ACGTAC",
            "chr2": b"GG",
        }


def test_contigs_named_like_regions(tmp_path: Path) -> None:
    reference = Reference(write(tmp_path / "slices.fa", b">chr1:11-14\nACGT\n>chr1\nTT\n"))
    assert reference.fetch("chr1:11-14", 1, 6) == b"CGTNN"


def test_windows_line_ends(tmp_path: Path) -> None:
    reference = Reference(write(tmp_path / "crlf.fa", TEXT.replace(b"\n", b"\r\n")))
    assert reference.fetch("chr1", -1, 20) == b"N" + CHR1 + b"N"


def test_match_follows_aliases(path: Path) -> None:
    reference = Reference(path)
    assert [reference.match(name) for name in ("chr1", "1", "MT", "2")] == ["chr1", "chr1", "chrM", None]
    assert reference.names.aliased == {("1", "chr1"), ("MT", "chrM")}


def test_digest(path: Path, cache_dir: Path) -> None:
    assert Reference(path).digest() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert suffixes(cache_dir / "digests") == {".json"}


def test_index_is_built_beside_the_fasta(path: Path, cache_dir: Path) -> None:
    Reference(path)
    assert suffixes(path.parent) == ({".fa", ".fai"} if path.suffix == ".fa" else {".gz", ".fai", ".gzi"})
    assert not (cache_dir / "fasta").exists()


def test_index_equals_that_of_samtools(path: Path) -> None:
    Reference(path)
    ours = {each: each.read_bytes() for each in path.parent.iterdir() if each != path}
    for each in ours:
        each.unlink()
    pysam.faidx(str(path))
    assert {each: each.read_bytes() for each in ours} == ours


def test_index_is_cached_if_the_folder_is_read_only(
    path: Path, cache_dir: Path, read_only: list[Path]
) -> None:
    read_only.append(path.parent)
    for _ in range(2):
        assert Reference(path).fetch("chr1", 0, 4) == b"ACGT"
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert suffixes(cache_dir / "fasta") == ({".fai"} if path.suffix == ".fa" else {".fai", ".gzi"})


def test_index_is_temporary_if_the_cache_is_read_only_too(
    path: Path, cache_dir: Path, read_only: list[Path]
) -> None:
    read_only += [path.parent, cache_dir]
    assert Reference(path).fetch("chr1", 0, 4) == b"ACGT"
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert not (cache_dir / "fasta").exists()


def test_error_if_the_index_can_be_written_nowhere(
    path: Path, cache_dir: Path, read_only: list[Path]
) -> None:
    read_only += [path.parent, cache_dir, scratch_folder()]
    with pytest.raises(GenomeError, match="VEPSCORE_CACHE"):
        Reference(path)


def test_bgzip_without_its_block_index(tmp_path: Path) -> None:
    path = write_bgzip(tmp_path / "tiny.fa.gz")
    pysam.faidx(str(path))
    (tmp_path / "tiny.fa.gz.gzi").unlink()
    assert Reference(path).fetch("chrM", 0, 7) == b"GATTACA"


def test_stale_index(path: Path) -> None:
    Reference(path)
    longer = TEXT.replace(b">chrM", b">chr2\nACGT\n>chrM")
    _ = write(path, longer) if path.suffix == ".fa" else write_bgzip(path, longer)
    set_age(path.with_name(path.name + ".fai"), 60)
    with pytest.raises(GenomeError, match="samtools faidx"):
        Reference(path)


def test_older_index_that_still_matches(path: Path) -> None:
    Reference(path)
    set_age(path.with_name(path.name + ".fai"), 60)
    assert Reference(path).fetch("chr1", 0, 4) == b"ACGT"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(GenomeError, match="no such file"):
        Reference(tmp_path / "absent.fa")


def test_plain_gzip(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.fa.gz", gzip.compress(TEXT))
    with pytest.raises(GenomeError, match="plain gzip") as caught:
        Reference(path)
    assert caught.value.hint == f"gunzip {path} && bgzip {tmp_path / 'tiny.fa'}"


@pytest.mark.parametrize("contents", [b"", BGZF_END])
def test_empty_file(tmp_path: Path, contents: bytes) -> None:
    with pytest.raises(GenomeError, match="is empty"):
        Reference(write(tmp_path / "empty.fa", contents))


def test_byte_order_mark_is_reported(tmp_path: Path) -> None:
    """htslib does not skip it."""
    with pytest.raises(GenomeError, match=r"starts with a byte order mark(.|\n)*tail -c \+4"):
        Reference(write(tmp_path / "marked.fa", b"\xef\xbb\xbf>chr1\nACGT\n"))


def test_file_that_is_not_fasta(tmp_path: Path) -> None:
    with pytest.raises(GenomeError, match="starts with b'@'"):
        Reference(write(tmp_path / "reads.fq", b"@read\nACGT\n+\nIIII\n"))


def test_bgzip_truncated_in_its_first_block(tmp_path: Path) -> None:
    whole = write_bgzip(tmp_path / "tiny.fa.gz")
    with pytest.raises(GenomeError):
        Reference(write(tmp_path / "cut.fa.gz", whole.read_bytes()[:30]))


def test_lines_of_different_lengths(tmp_path: Path) -> None:
    with pytest.raises(GenomeError, match="cannot be indexed"):
        Reference(write(tmp_path / "ragged.fa", b">chr1\nACGT\nAC\nACGT\n"))


def test_file_shorter_than_its_index(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.fa", TEXT)
    Reference(path)
    path.write_bytes(TEXT[:30])
    set_age(path, 60)
    reference = Reference(path)
    with pytest.raises(GenomeError, match=r"at chr1:1-19: .*truncated"):
        reference.fetch("chr1", 0, 19)


@pytest.mark.parametrize(
    ("bases", "ref", "matches"),
    [
        (b"ACGT", "ACGT", True),
        (b"acgt", "AcGT", True),
        (b"ACGT", "ACGA", False),
        (b"ACG", "ACGT", False),
        (b"R", "A", True),
        (b"R", "G", True),
        (b"r", "g", True),
        (b"R", "C", False),
        (b"YSWKMBDHV", "TCTGACGCG", True),
        (b"B", "A", False),
        (b"D", "C", False),
        (b"H", "G", False),
        (b"V", "T", False),
        (b"N", "A", False),
        (b"N", "N", False),
        (b"A", "N", False),
        (b"R", "R", False),
        (b"ANG", "ACG", False),
    ],
)
def test_reference_matches(bases: bytes, ref: str, matches: bool) -> None:
    assert reference_matches(bases, ref) is matches


def test_refs_of_the_official_scores() -> None:
    reference = Reference(need("data/hg38_native.fa.gz"))
    with need("parity/scores_seed0_16k_fp32_human.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    differing = {
        row["variant"]
        for row in rows
        if not reference_matches(
            reference.fetch("chr16", int(row["pos"]) - 1, int(row["pos"]) - 1 + len(row["ref"])), row["ref"]
        )
    }
    assert differing == {"ref_mismatch"}
