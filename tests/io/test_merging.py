"""Parts make what one run would have written, byte for byte; anything else is refused."""

import dataclasses
import gzip
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.io.samples import META, MYGENE, PROVENANCE, block_of, read_all, result_of, tracks_of, vcf_bytes
from vepscore.errors import InputError, OutputError, UsageError
from vepscore.genome.annotation import Gene
from vepscore.io import allele_table as table
from vepscore.io import long_table as parquet
from vepscore.io.allele_table import AlleleTableWriter
from vepscore.io.header import VcfHeader
from vepscore.io.long_table import LongTableWriter
from vepscore.io.merging import merge
from vepscore.io.parts import SHARD_KEY
from vepscore.io.results import Detail, RecordResult
from vepscore.io.run_metadata import RunMetadata
from vepscore.io.spliceai import SpliceAiWriter, spliceai_header
from vepscore.io.vcf import AnnotatedVcfWriter
from vepscore.outputs import Output

RECORDS = 23
BOUNDS = (0, 9, 9, 20, RECORDS)  # the second of four parts has none
DIGEST = 64 * "a"
TRACKS = {output: tracks_of(output, 3) for output in (Output.ATAC, Output.RNA_SEQ)}
ALTS = ("C", "G,<DEL>", ".", "T,GG")

Write = Callable[[Path, Sequence[RecordResult], dict[str, str]], None]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[RecordResult]:
    """Of records with names of their own, so that dictionaries differ from part to part."""
    path = tmp_path_factory.mktemp("input") / "in.vcf"
    rows = (f"chr{1 + i // 12} {100 + i} rs{i} A {ALTS[i % 4]} . PASS AC=1" for i in range(RECORDS))
    path.write_bytes(vcf_bytes(*rows))
    rng = np.random.default_rng(0)
    results = []
    for record in read_all(path)[1]:
        gene = dataclasses.replace(MYGENE, gene_id=f"G{record.index % 7}", name=f"gene {record.index % 7}")
        matrices = (
            block_of(Output.ATAC, rng.standard_normal((1, 3)).tolist()),
            block_of(Output.RNA_SEQ, rng.standard_normal((2, 3)).tolist(), genes=(gene, None)),
        )
        result = result_of(record)
        alleles = (
            dataclasses.replace(allele, matrices=matrices, details=(*allele.details, *events_of(gene)))
            if allele.fields
            else allele
            for allele in result.alleles
        )
        results.append(RecordResult(record=record, alleles=tuple(alleles)))
    return results


def events_of(gene: Gene) -> Iterator[Detail]:
    for kind in ("acceptor_gain:70", "acceptor_loss", "donor_gain", "donor_loss:90"):
        score = {"gain:70": 0.75, "loss:90": -0.5}.get(kind.partition("_")[2], 0.0)
        yield Detail(scorer="SPLICE_EVENTS", score=score, gene_id=gene.gene_id, symbol=gene.name, track=kind)


@pytest.fixture(autouse=True)
def small_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that they end within parts."""
    for module in (parquet, table):
        monkeypatch.setattr(module, "ROW_GROUP_ROWS", 8)


def write_vcf(path: Path, results: Sequence[RecordResult], facts: dict[str, str]) -> None:
    header = VcfHeader(meta=META, columns="#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    contigs = {"chr1": 1000, "chr2": 1000}
    with AnnotatedVcfWriter(path, header.with_annotation(provenance=facts, contigs=contigs)) as writer:
        for result in results:
            writer.write(result)


def write_long_table(path: Path, results: Sequence[RecordResult], facts: dict[str, str]) -> None:
    with LongTableWriter(path, TRACKS, facts) as writer:
        for result in results:
            writer.write(result)


def write_allele_table(path: Path, results: Sequence[RecordResult], facts: dict[str, str]) -> None:
    with AlleleTableWriter(path, facts) as writer:
        for result in results:
            writer.write(result)


def write_spliceai(path: Path, results: Sequence[RecordResult], facts: dict[str, str]) -> None:
    contigs = {"chr1": 1000, "chr2": 1000}
    header = VcfHeader(meta=META, columns="").with_annotation(provenance={}, contigs=contigs)
    with SpliceAiWriter(
        path, spliceai_header(header, RunMetadata.from_header({"vepscoreCheckpoint": "a sha256:b", **facts}))
    ) as writer:
        for result in results:
            writer.write(result)


KINDS = [
    (write_vcf, ".vcf"),
    (write_vcf, ".vcf.gz"),
    (write_vcf, ".bcf"),
    (write_long_table, ".parquet"),
    (write_allele_table, ".parquet"),
    (write_allele_table, ".tsv"),
    (write_allele_table, ".tsv.gz"),
    (write_spliceai, ".vcf"),
    (write_spliceai, ".vcf.gz"),
]
KIND_NAMES = [f"{write.__name__}{suffix}" for write, suffix in KINDS]
IN_EACH_KIND = pytest.mark.parametrize(("write", "suffix"), KINDS, ids=KIND_NAMES)


def write_parts(
    folder: Path, write: Write, suffix: str, results: Sequence[RecordResult], **changes: str
) -> list[Path]:
    paths = []
    for number, (first, end) in enumerate(itertools.pairwise(BOUNDS), 1):
        fact = f"{number}/{len(BOUNDS) - 1} records {first} to {end} of sha256:{DIGEST}"
        paths.append(folder / f"part{number}{suffix}")
        write(paths[-1], results[first:end], PROVENANCE | {SHARD_KEY: fact} | changes)
    return paths


@IN_EACH_KIND
def test_merged_parts_are_the_bytes_of_one_run(
    tmp_path: Path, results: list[RecordResult], write: Write, suffix: str
) -> None:
    parts = write_parts(tmp_path, write, suffix, results)
    write(tmp_path / f"whole{suffix}", results, PROVENANCE)
    order = merge([parts[i] for i in (2, 0, 3, 1)], str(tmp_path / f"merged{suffix}"))
    assert [part.shard.number for part in order] == [1, 2, 3, 4]
    for whole in tmp_path.glob("whole*"):  # an index is beside it
        merged = whole.with_name(whole.name.replace("whole", "merged"))
        assert merged.read_bytes() == whole.read_bytes()
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} >= {"whole", "merged"}


@IN_EACH_KIND
def test_missing_and_doubled_parts_are_refused(
    tmp_path: Path, results: list[RecordResult], write: Write, suffix: str
) -> None:
    first, _, third, fourth = write_parts(tmp_path, write, suffix, results)
    copy = tmp_path / f"copy{suffix}"
    copy.write_bytes(first.read_bytes())
    with pytest.raises(InputError) as raised:
        merge([first, third, copy, fourth], str(tmp_path / f"merged{suffix}"))
    _, doubled, missing = str(raised.value).splitlines()
    assert doubled == f"  shard 1/4 is there 2 times: {first}, {copy}"
    assert missing == "  missing of 4 shards: 2"
    assert not list(tmp_path.glob("*merged*"))


@IN_EACH_KIND
def test_part_of_another_run_is_refused(
    tmp_path: Path, results: list[RecordResult], write: Write, suffix: str
) -> None:
    parts = write_parts(tmp_path, write, suffix, results)
    (tmp_path / "other").mkdir()
    others = write_parts(tmp_path / "other", write, suffix, results, vepscoreVersion="0.0.9")
    with pytest.raises(InputError) as raised:
        merge([*parts[:2], others[2], parts[3]], str(tmp_path / f"merged{suffix}"))
    assert f"{others[2]}\n  is of another run than {parts[0]}" in str(raised.value)
    assert "only in this one: ##vepscoreVersion=0.0.9" in str(raised.value)


@IN_EACH_KIND
def test_part_of_another_input_is_refused(
    tmp_path: Path, results: list[RecordResult], write: Write, suffix: str
) -> None:
    parts = write_parts(tmp_path, write, suffix, results)
    write(parts[1], [], PROVENANCE | {SHARD_KEY: f"2/4 records 9 to 9 of sha256:{64 * 'b'}"})
    with pytest.raises(
        InputError, match=f"sha256 of the input: {DIGEST} in the first, {64 * 'b'} in this one"
    ):
        merge(parts, str(tmp_path / f"merged{suffix}"))


@IN_EACH_KIND
def test_file_that_is_no_shard_is_refused(
    tmp_path: Path, results: list[RecordResult], write: Write, suffix: str
) -> None:
    write(tmp_path / f"whole{suffix}", results, PROVENANCE)
    with pytest.raises(InputError, match="is no shard: expected an output of `vepscore score --shard I/N`"):
        merge([tmp_path / f"whole{suffix}"], str(tmp_path / f"merged{suffix}"))


@IN_EACH_KIND
def test_part_cut_short_is_refused(
    tmp_path: Path, results: list[RecordResult], write: Write, suffix: str
) -> None:
    parts = write_parts(tmp_path, write, suffix, results)
    parts[3].write_bytes(parts[3].read_bytes()[:-30])
    with pytest.raises(InputError, match=r"part4"):
        merge(parts, str(tmp_path / f"merged{suffix}"))
    assert not list(tmp_path.glob("*merged*"))


def test_line_cut_short_is_refused(tmp_path: Path, results: list[RecordResult]) -> None:
    """Text that is not compressed, cut within its last column."""
    for write in (write_vcf, write_spliceai):
        folder = tmp_path / write.__name__
        folder.mkdir()
        parts = write_parts(folder, write, ".vcf", results)
        parts[0].write_bytes(parts[0].read_bytes()[:-1])
        with pytest.raises(InputError, match=r"part1.vcf\n.*cut short: its last line has no end"):
            merge(parts, str(folder / "merged.vcf"))


def test_lines_that_are_missing_are_noticed(tmp_path: Path, results: list[RecordResult]) -> None:
    for write in (write_vcf, write_spliceai):
        folder = tmp_path / write.__name__
        folder.mkdir()
        parts = write_parts(folder, write, ".vcf", results)
        parts[0].write_bytes(b"".join(parts[0].read_bytes().splitlines(keepends=True)[:-1]))
        with pytest.raises(InputError, match=r"part1.vcf\n.*has \d+ records, expected \d+"):
            merge(parts, str(folder / "merged.vcf"))


def test_rows_of_other_records_are_refused(tmp_path: Path, results: list[RecordResult]) -> None:
    for write, suffix in KINDS[3:6]:
        folder = tmp_path / f"{write.__name__}{suffix}"
        folder.mkdir()
        parts = write_parts(folder, write, suffix, results)
        fact = f"1/4 records 0 to 9 of sha256:{DIGEST}"
        write(parts[0], results[3:12], PROVENANCE | {SHARD_KEY: fact})
        with pytest.raises(InputError, match=r"has a row of record (9|11), expected records 0 to 8"):
            merge(parts, str(folder / f"merged{suffix}"))


def test_kinds_do_not_mix(tmp_path: Path, results: list[RecordResult]) -> None:
    vcf = write_parts(tmp_path, write_vcf, ".vcf", results)
    tsv = write_parts(tmp_path, write_allele_table, ".tsv", results)
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        merge(vcf, str(tmp_path / "merged.parquet"))
    (tmp_path / "spliceai").mkdir()
    other = write_parts(tmp_path / "spliceai", write_spliceai, ".vcf", results)
    with pytest.raises(InputError, match="is not in the format of the output, expected a shard in vcf"):
        merge([vcf[0], *other[1:]], str(tmp_path / "merged.vcf"))
    with pytest.raises(InputError, match="is not in the format of the output, expected a shard in vcf"):
        merge(other, str(tmp_path / "merged.bcf"))
    with pytest.raises(InputError, match="fileformat=VCF"):
        merge(tsv, str(tmp_path / "merged.vcf"))
    with pytest.raises(UsageError, match="expected a name that ends in"):
        merge(vcf, str(tmp_path / "merged.txt"))
    with pytest.raises(OutputError, match="does not exist"):
        merge(vcf, str(tmp_path / "none" / "merged.vcf"))


def test_vcf_parts_may_become_another_kind_of_vcf(tmp_path: Path, results: list[RecordResult]) -> None:
    parts = write_parts(tmp_path, write_vcf, ".vcf.gz", results)
    write_vcf(tmp_path / "whole.vcf", results, PROVENANCE)
    merge(parts, str(tmp_path / "merged.vcf"))
    assert (tmp_path / "merged.vcf").read_bytes() == (tmp_path / "whole.vcf").read_bytes()
    assert gzip.decompress(parts[0].read_bytes()).count(b"vepscoreShard=1/4") == 1
