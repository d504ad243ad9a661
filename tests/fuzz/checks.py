"""What must hold whatever bytes a file has: our own error, or all of it read; never anything else.

Each check takes the bytes and a folder to work in, which is left as it was found.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.builders import CONTIGS, WINDOW_BP, build_genome
from tests.engine.fakes import FakeEngine
from tests.fuzz.vcfs import expected_lines
from tests.scorers.cases import RESOLUTIONS
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scored_records import RunCounts, score_records, write_results
from vepscore.errors import VepscoreError
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.genome.polya import PolyASites
from vepscore.io.allele_table import AlleleTableWriter
from vepscore.io.records import open_records, scan_records
from vepscore.io.vcf import AnnotatedVcfWriter

Check = Callable[[bytes, Path], None]
VCF = b"""##fileformat=VCFv4.2
##contig=<ID=chr1,length=30000>
##INFO=<ID=AC,Number=A,Type=Integer,Description="a, b">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1
chr1\t16001\t.\tA\tC,<DEL>,*\t.\tPASS\tAC=1,2,3;DB\tGT\t0/1
chr9\t5\trs1\tAC\tG]17:198982]\t9\tq10\t.\tGT\t./.
"""
PROVENANCE = {"vepscoreVersion": "0", "vepscoreCommand": "vepscore score"}


@contextlib.contextmanager
def our_errors(*names: str | Path) -> Iterator[list[VepscoreError]]:
    """Takes in our own errors, and looks whether they say which file it is. Each other error is a failure."""
    caught: list[VepscoreError] = []
    try:
        yield caught
    except VepscoreError as error:
        assert any(str(name) in str(error) for name in names), f"{error}\nnames none of {names}"
        assert len(str(error)) < 5000, "an error that nobody can read"
        caught.append(error)


@functools.cache
def preparer(folder: Path) -> AllelePreparer:
    """Of the tiny genome, kept in `folder`."""
    folder = folder / "genome"
    folder.mkdir()
    genome = build_genome(folder)
    return AllelePreparer(
        resolutions=RESOLUTIONS,
        reference=Reference(genome.fasta, folder),
        window_bp=WINDOW_BP,
        annotation=Annotation.from_gtf(genome.gtf, folder),
        polya=PolyASites.from_tsv(genome.polya),
        source="in.vcf",
    )


@functools.cache
def _engine() -> FakeEngine:
    return FakeEngine(batch=3)


def annotate(
    source: Path,
    folder: Path,
    *,
    output: str = "out.vcf",
    table: str = "out.tsv",
    inspect: Callable[[Path], None] = lambda path: None,
) -> tuple[list[bytes], int] | None:
    """Scores a file with a fake engine: the records of the output and the alleles counted, or None after our own error.

    Args:
        inspect: is shown the output before it is removed.
    """
    prepared, counts = preparer(folder), RunCounts()
    results = folder / "results"
    results.mkdir(exist_ok=True)
    with our_errors(source, output, "cannot be written as BCF") as errors:
        scan = scan_records(source)
        with open_records(source) as records:
            header = records.header.with_annotation(
                provenance=PROVENANCE, contigs=CONTIGS, body_contigs=scan.counts
            )
            with (
                AnnotatedVcfWriter(results / output, header) as vcf,
                AlleleTableWriter(results / table, PROVENANCE) as alleles,
            ):
                scored = score_records(records, prepared, _engine())
                write_results(scored, None, [vcf.write, alleles.write], counts)
                for writer in (vcf, alleles):  # as a job does: all of them appear, or none
                    writer.finish()
    _engine().batches.clear()
    found = sorted(path.name for path in results.iterdir())
    if errors:
        assert found == [], "something is left after an error"
        return None
    assert {output, table} <= set(found)
    with open_records(results / output) as records:
        lines = [record.line for record in records]
    assert scan.records == counts.records == len(lines)
    inspect(results / output)
    if table == "out.tsv":
        rows = (results / table).read_bytes().split(b"\n")
        assert sum(not row.startswith(b"##") for row in rows) == counts.alleles + 2  # the names, and the end
    for name in found:
        (results / name).unlink()
    return lines, counts.alleles


def check_vcf(data: bytes, folder: Path, *, text: bytes | None = None, **outputs: str) -> bool:
    """A VCF, whatever it is: every record comes out, in order and as it was but for INFO. Whether it was read.

    Args:
        text: the file without its compression.
    """
    source = folder / "in.vcf"
    source.write_bytes(data)
    annotated = annotate(source, folder, **outputs)
    if annotated is None:
        return False
    lines, alleles = annotated
    expected = expected_lines(data if text is None else text)
    assert len(lines) == len(expected)
    for after, before in zip(lines, expected, strict=True):
        check_record(after, before)
    assert alleles == sum(map(count_alts, expected))
    return True


def check_record(after: bytes, before: bytes) -> None:
    """The record is the same but for what INFO has gained, and that is about each ALT."""
    came, went = after.split(b"\t"), before.split(b"\t")
    kept = b"" if went[7] == b"." and came[7] != b"." else went[7]
    assert came[:7] + came[8:] == went[:7] + went[8:] and came[7].startswith(kept)
    statuses = came[7].removeprefix(kept).partition(b"VS_STATUS=")[2].partition(b";")[0]
    assert count_alts(before) == (statuses.count(b",") + 1 if statuses else 0)


def count_alts(line: bytes) -> int:
    """How many ALTs a record has."""
    alt = line.split(b"\t", 5)[4]
    return 0 if alt == b"." else alt.count(b",") + 1
