"""What fuzzing has found, one test each: files that once ended a run wrongly, or hardly ended it."""

import contextlib
import dataclasses
import gzip
import io
import itertools
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pysam.bcftools
import pytest

from tests.builders import CONTIGS, gtf_text, make_records, vcf_row
from tests.engine.fakes import Counting, FakeEngine
from tests.fuzz.budgets import time_limit
from tests.fuzz.checks import our_errors, preparer
from tests.fuzz.file_checks import FACTS, RESULTS, check_fasta_index, check_journal, journal_bytes
from tests.fuzz.vcfs import BGZIP_END, bgzip
from vepscore.engine.scored_records import score_records
from vepscore.errors import AnnotationError, GenomeError, InputError
from vepscore.genome.alleles import Status
from vepscore.genome.fasta import Reference
from vepscore.genome.gtf import read_gtf
from vepscore.genome.polya import PolyASites
from vepscore.io.allele_table import AlleleTableWriter
from vepscore.io.codec import decode_results, encode_results
from vepscore.io.header import VcfHeader
from vepscore.io.journal import SUFFIX, Journal, open_journal
from vepscore.io.records import Record, open_records

GTF_LINE = 'chr1\tx\texon\t{}\t{}\t.\t+\t.\tgene_id "{}"; transcript_id "t";\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("findings")


class TestManyAlts:
    """The time for a record grows with its length, not with REF times ALTs."""

    def test_ref_is_looked_at_once(self, folder: Path) -> None:
        (record,) = make_records(("chr1", "5", ".", "ACGTTGCA" * 125_000, ",".join(["A", "*"] * 10_000)))
        with time_limit(20):
            statuses = {allele.status for allele in preparer(folder).prepare(record)}
        assert statuses == {Status.TOO_LONG, Status.SYMBOLIC}

    @pytest.mark.parametrize("row", [("chr1", "5", ".", "N", "A"), vcf_row("chr2", 12_050, 1, "~")])
    def test_place_where_nothing_is_scored_is_looked_up_once(
        self, folder: Path, row: tuple[str, ...]
    ) -> None:
        whole = preparer(folder)
        chrom, pos1, name, ref, alt = row
        ref = {"N": "ACGT"["ACGT".find(whole.reference.fetch("chr1", 4, 5).decode()) - 1]}.get(ref, ref)
        counting = CountingReference(whole.reference.path)
        (record,) = make_records((chrom, pos1, name, ref, ",".join([alt, "GG", "<DEL>"] * 50)))
        found = [allele.status for allele in dataclasses.replace(whole, reference=counting).prepare(record)]
        assert set(found) in ({Status.REF_MISMATCH, Status.SYMBOLIC}, {Status.N_WINDOW, Status.SYMBOLIC})
        assert counting.fetched <= 2

    def test_tables_hold_more_than_32767(self, folder: Path) -> None:
        (record,) = make_records(("chr9", "5", ".", "A", ",".join(["*"] * 40_000)))
        ((result,),) = score_records([record], preparer(folder), FakeEngine())
        with AlleleTableWriter(folder / "out.parquet", {}) as writer:
            writer.write(result)
        assert pq.read_table(folder / "out.parquet")["alt_index"][-1].as_py() == 39_999

    def test_few_long_records_are_held(self, folder: Path) -> None:
        (record,) = make_records(("chr9", "5", ".", "A" * 5_000_000, "C"))
        records = Counting(itertools.repeat(record, 40))
        results = score_records(records, preparer(folder), FakeEngine())
        next(results)
        assert records.taken <= 12  # of the chunk in use, and of two ahead, 16 MB each


class CountingReference(Reference):
    """A reference that counts what is fetched."""

    fetched = 0

    def fetch(self, chrom: str, start0: int, end0: int) -> bytes:
        self.fetched += 1
        return super().fetch(chrom, start0, end0)


class TestAnnotation:
    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (GTF_LINE.format(1, 9, "g\0"), "a NUL byte"),
            (GTF_LINE.format(1, 10**30, "g"), "start ≤ end ≤ 2147483647"),
            (GTF_LINE.format(2**40, 2**41, "g"), "start ≤ end ≤ 2147483647"),
            (GTF_LINE.format("1" * 5000, 9, "g"), "expected whole numbers"),
            (GTF_LINE.format(1, 9, "g" * 5000), "a gene_id of 5000 characters"),
            (
                GTF_LINE.format(1, 9, "g") * 2
                + GTF_LINE.format(1, 9, "g").replace('"t"', '"' + "t" * 2000 + '"'),
                "2000",
            ),
            (GTF_LINE.format(1, 9, "g").replace("chr1", "c" * 2000), "a contig name of 2000 characters"),
        ],
        ids=["nul", "overflow", "beyond_any_contig", "digits", "long_gene", "long_transcript", "long_contig"],
    )
    def test_line_is_refused(self, tmp_path: Path, line: str, said: str) -> None:
        (tmp_path / "x.gtf").write_text(gtf_text() + line)
        with pytest.raises(AnnotationError, match=said):
            read_gtf(tmp_path / "x.gtf")

    @pytest.mark.parametrize("filling", ["x", "x ", 'a "b"; ', ";"])
    def test_megabyte_of_attributes_takes_no_time(self, tmp_path: Path, filling: str) -> None:
        text = GTF_LINE.format(1, 9, "g").replace('gene_id "g";', f'{filling * 1_000_000} gene_id "g";')
        (tmp_path / "x.gtf").write_text(text)
        with time_limit(10), our_errors(tmp_path):
            read_gtf(tmp_path / "x.gtf")

    def test_site_beyond_any_contig(self, tmp_path: Path) -> None:
        (tmp_path / "x.tsv").write_text(f"gene_id\tchrom\tstart\tstrand\ng\tchr1\t{10**30}\t+\n")
        with pytest.raises(AnnotationError, match="from 0 to 2147483647"):
            PolyASites.from_tsv(tmp_path / "x.tsv")


class TestReference:
    """The index of another FASTA, newer than this one, gave other bases."""

    def test_stale_index(self, tmp_path: Path) -> None:
        (tmp_path / "x.fa").write_text(">c\nACGTACGTAC\nGTAC\n>d\nTTTT\n")
        Reference(tmp_path / "x.fa", tmp_path)
        (tmp_path / "x.fa").write_text(">c one\nACGTACG\nGTAC\n>d\nTTTT\n")
        (tmp_path / "x.fa.fai").touch()
        with pytest.raises(GenomeError, match="does not match"):
            Reference(tmp_path / "x.fa", tmp_path)

    @pytest.mark.parametrize("line", [b"c0\t23\t83\t8\t8\n", b"c1\t0\t83\t8\t9\n", b"c1\t23\t83\t10\t11\n"])
    def test_index_that_points_past_the_end(self, folder: Path, line: bytes) -> None:
        check_fasta_index(line, folder)

    @pytest.mark.parametrize("others", [b"c2\t11\t38\t10\t11\nc3\t3\t55\t3\t4\n", b""])
    def test_sequence_that_runs_on_through_the_next_ones(self, folder: Path, others: bytes) -> None:
        check_fasta_index(b"c1\t46\t8\t10\t11\n" + others, folder)

    @pytest.mark.parametrize("line_bytes", [b"10", b"19"])
    def test_lines_that_would_be_longer(self, folder: Path, line_bytes: bytes) -> None:
        check_fasta_index(b"c1\t23\t8\t10\t11\nc2\t11\t38\t10\t" + line_bytes, folder)

    def test_sequence_that_would_be_empty(self, folder: Path) -> None:
        check_fasta_index(b"c1\t23\t8\t10\t11\nc3\t0\t55\t3\t4\n", folder)

    def test_name_that_htslib_reads_in_another_way(self, folder: Path) -> None:
        check_fasta_index(b"c1\x1b\x000\t8\t113\t8100\t10\t13\t3\t81", folder)

    def test_sequences_that_overlap(self, tmp_path: Path) -> None:
        (tmp_path / "x.fa").write_text(">c\nAC\n>d\nGT\n")
        (tmp_path / "x.fa.fai").write_text("c\t8\t3\t9\t10\nd\t2\t9\t2\t3\n")
        with pytest.raises(GenomeError, match="the sequence at byte 9 overlaps another"):
            Reference(tmp_path / "x.fa", tmp_path)

    @pytest.mark.parametrize("text", [">c\nAC\nGT\n\n>d\n>e f\r\nACG\r\nT\r\n", ">c\nACGT"])
    def test_odd_but_valid_files_are_read(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "x.fa").write_text(text, newline="")
        reference = Reference(tmp_path / "x.fa", tmp_path)
        assert all(
            reference.fetch(name, 0, bp).strip(b"ACGT") == b"" for name, bp in reference.contigs.items()
        )


class TestJournal:
    """Zeros are what a machine that lost its power leaves at the end of a file."""

    def test_zeros_at_the_end(self, folder: Path) -> None:
        check_journal(journal_bytes(folder) + bytes(100), folder)

    @pytest.mark.parametrize(
        "payload", [b"{", b"[1]", b"\xff", b"[" * 100_000, json.dumps(FACTS).encode()[:-1]]
    )
    def test_first_frame_that_is_none(self, folder: Path, payload: bytes) -> None:
        magic = journal_bytes(folder).partition(b"\n")[0] + b"\n"
        frame = len(payload).to_bytes(8, "little") + zlib.crc32(payload).to_bytes(4, "little") + payload
        check_journal(magic + frame, folder)

    def test_entry_that_is_too_short(self, folder: Path) -> None:
        frame = (3).to_bytes(8, "little") + zlib.crc32(b"abc").to_bytes(4, "little") + b"abc"
        check_journal(journal_bytes(folder) + frame, folder)

    @pytest.mark.parametrize(
        "document",
        [b"[" * 100_000, b"[]", b'{"genes":[],"alleles":[1]}', b'{"genes":{},"alleles":{"a":1}}', b"null"],
    )
    def test_results_of_another_kind(self, document: bytes) -> None:
        with pytest.raises(ValueError, match="not the results of a record"):
            decode_results(len(document).to_bytes(4, "little") + document)

    @pytest.mark.parametrize("value", [b"[0.1]", b"1e-01"])
    def test_results_with_another_n_fraction(self, value: bytes) -> None:
        data = encode_results(RESULTS[0].alleles)
        assert data.count(b"0.125") == 1
        with pytest.raises(ValueError, match="not the results of a record"):
            decode_results(data.replace(b"0.125", value))

    def test_record_that_cannot_be_decoded(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(data: bytes) -> None:
            raise ValueError("broken")

        monkeypatch.setattr("vepscore.io.journal.decode_results", broken)
        with pytest.raises(InputError, match="--no-resume"), _journal(folder) as journal:
            journal.read(RESULTS[0].record)


def _journal(folder: Path) -> contextlib.AbstractContextManager[Journal]:
    (folder / f".x.vcf{SUFFIX}").write_bytes(journal_bytes(folder))
    return open_journal(folder / "x.vcf", FACTS, resume=True)


class TestVcf:
    def test_contig_that_no_header_may_name_is_not_added(self) -> None:
        header = VcfHeader(meta=("##fileformat=VCFv4.2",), columns="#CHROM")
        odd = ["<a>", "a,b", "a b", "", "\u2028", "*"]
        added = header.with_annotation(provenance={}, contigs=CONTIGS, body_contigs=[*odd, "HLA-A*01:01:01"])
        contigs = [line for line in added.meta if line.startswith("##contig=<ID=")]
        assert len(contigs) == len(CONTIGS) + 1 and contigs[-1] == "##contig=<ID=HLA-A*01:01:01>"

    def test_position_of_a_megabyte(self, tmp_path: Path) -> None:
        columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        (tmp_path / "x.vcf").write_text(
            f"##fileformat=VCFv4.2\n{columns}c\t{'9' * 1_000_000}\t.\tA\tC\t.\t.\t.\n"
        )
        with our_errors("x.vcf record 0") as errors, open_records(tmp_path / "x.vcf") as records:
            list(records)
        assert len(str(errors[0])) < 1000

    def test_unicode_line_ends_in_the_header_of_a_bcf(self, tmp_path: Path) -> None:
        meta = "##fileformat=VCFv4.2\n##contig=<ID=c>\n##source=a\u2028b\x85c\n"
        text = f"{meta}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nc\t5\t.\tA\tC\t.\t.\t.\n"
        (tmp_path / "x.vcf").write_text(text)
        pysam.bcftools.view(
            "--no-version", "-Ob", "-o", str(tmp_path / "x.bcf"), str(tmp_path / "x.vcf"), catch_stdout=False
        )
        with open_records(tmp_path / "x.bcf") as records:
            assert "##source=a\u2028b\x85c" in records.header.meta
            assert len(list(records)) == 1

    def test_bcf_in_a_stream_that_ends_between_blocks(
        self, monkeypatch: pytest.MonkeyPatch, bcf: bytes
    ) -> None:
        """htslib takes the end of what it has for the end of the file."""
        with pytest.raises(InputError, match="truncated"):
            list(_from_stream(monkeypatch, bgzip(bcf, 1 << 14).removesuffix(BGZIP_END)))
        assert len(list(_from_stream(monkeypatch, bgzip(bcf, 1 << 14)))) == 100

    @pytest.fixture
    def bcf(self, tmp_path: Path) -> bytes:
        rows = "".join(f"c\t{pos1}\t.\tA\tC\t.\t.\t.\n" for pos1 in range(1, 101))
        columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        (tmp_path / "x.vcf").write_text(f"##fileformat=VCFv4.2\n##contig=<ID=c>\n{columns}{rows}")
        pysam.bcftools.view("-Ou", "-o", str(tmp_path / "x.bcf"), str(tmp_path / "x.vcf"), catch_stdout=False)
        return gzip.decompress((tmp_path / "x.bcf").read_bytes())


def _from_stream(monkeypatch: pytest.MonkeyPatch, data: bytes) -> Iterator[Record]:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(data)))
    with open_records("-") as records:
        yield from records


def test_hostile_headers_take_no_time(tmp_path: Path) -> None:
    """100,000 lines, one of a megabyte, and one of a million columns."""
    meta = [
        "##fileformat=VCFv4.2",
        "##INFO=<" + "ID=," * 250_000 + ">",
        *(f"##contig=<ID=c{n}>" for n in range(100_000)),
    ]
    samples = "\t".join(map(str, np.arange(200_000)))
    columns = f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{samples}"
    (tmp_path / "x.vcf").write_text("\n".join([*meta, columns]) + "\n")
    with time_limit(20), open_records(tmp_path / "x.vcf") as records:
        header = records.header.with_annotation(
            provenance={}, contigs=CONTIGS, body_contigs=[f"d{n}" for n in range(10**5)]
        )
        assert len(header.encode()) > 1_000_000 and list(records) == []
