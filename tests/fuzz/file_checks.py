"""The same of the files beside a VCF, and what the fuzzers begin with."""

import contextlib
import dataclasses
import functools
import json
import os
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.builders import gtf_text, make_records
from tests.fuzz.checks import VCF, Check, check_vcf, our_errors
from tests.io.samples import result_of
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.genome.polya import PolyASites
from vepscore.io.codec import decode_results, encode_results
from vepscore.io.journal import SUFFIX, open_journal
from vepscore.networks.alphagenome.official.metadata import read_metadata


def check_gtf(data: bytes, folder: Path) -> None:
    """A GTF gives tables that point to one another, or an error."""
    path = folder / "in.gtf"
    path.write_bytes(data)
    with our_errors(path):
        annotation = Annotation.from_gtf(path, folder / "cache")
        genes, transcripts, exons = annotation.genes, annotation.transcripts, annotation.exons
        assert np.all(genes.end0 > genes.start0) and np.all(genes.start0 >= 0)
        assert np.all(transcripts.end0 > transcripts.start0) and np.all(exons.end0 > exons.start0)
        assert np.array_equal(genes.chrom[transcripts.gene], transcripts.chrom)
        assert np.all(exons.start0 < transcripts.end0[exons.transcript])
        assert np.all(exons.end0 > transcripts.start0[exons.transcript])
        for name in ("chr1", *annotation.contigs.names):
            annotation.genes_overlapping(name, 0, 2**31)
            annotation.genes_with_start(name, 0, 2**31)
            annotation.splice_sites(name, 0, 2**31)
        again = Annotation.from_gtf(path, folder / "cache")  # as the cache has it
        assert again.contigs.names == annotation.contigs.names
        assert again.genes.gene_id.tolist() == genes.gene_id.tolist()
    for kept in (folder / "cache" / "annotations").glob("*"):
        kept.unlink()


def check_polya(data: bytes, folder: Path) -> None:
    """Poly(A) sites, or an error."""
    path = folder / "in.tsv"
    path.write_bytes(data)
    with our_errors(path):
        PolyASites.from_tsv(path)


def check_textproto(data: bytes, folder: Path) -> None:
    """Track metadata, or an error."""
    path = folder / "in.textproto"
    path.write_bytes(data)
    with our_errors(path), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "invalid escape sequence")  # protobuf takes it literally
        metadata = read_metadata(path)
        for output, tracks in metadata.tracks.items():
            assert tracks.channel.max() < metadata.channels[output]
            assert np.all(np.isfinite(tracks.nonzero_mean))


FASTA = b">c1 one\nACGTACGTAC\nGTACGTTTGA\nGGA\n>c2\nTTTTGGGGCC\nA\n>c3\nACG\n"
FASTA_INDEX = b"c1\t23\t8\t10\t11\nc2\t11\t38\t10\t11\nc3\t3\t55\t3\t4\n"
_SEQUENCES = {"c1": b"ACGTACGTACGTACGTTTGAGGA", "c2": b"TTTTGGGGCCA", "c3": b"ACG"}


def check_fasta_index(data: bytes, folder: Path) -> None:
    """With a damaged index come the right bases, or an error."""
    path = folder / "in.fa"
    path.write_bytes(FASTA)
    index = folder / "in.fa.fai"
    index.write_bytes(data)
    os.utime(path, (0, 0))  # the index is the newer file
    with our_errors(path, index):
        reference = Reference(path, folder / "cache")
        for name, length in reference.contigs.items():
            assert reference.fetch(name, 0, length) == _SEQUENCES[name]


FACTS = {"input": "abc", "window": "16384"}
RESULTS = tuple(
    result_of(record)
    for record in make_records(*(("chr1", str(pos1), ".", "A", "C,<DEL>") for pos1 in range(10, 14)))
)


@functools.cache
def journal_bytes(folder: Path) -> bytes:
    """A journal with all of RESULTS."""
    output = folder / "seed.vcf"
    path = output.with_name(f".{output.name}{SUFFIX}")
    with contextlib.suppress(ZeroDivisionError), open_journal(output, FACTS, resume=True) as journal:
        for result in RESULTS:
            journal.append(result)
        raise ZeroDivisionError
    data = path.read_bytes()
    path.unlink()
    return data


def check_journal(data: bytes, folder: Path) -> None:
    """Check that a damaged journal knows only what was put in, and that this run and the next one resume from it."""
    output = folder / "out.vcf"
    path = output.with_name(f".{output.name}{SUFFIX}")
    path.write_bytes(data)
    with our_errors(path), open_journal(output, FACTS, resume=True) as journal:
        for result in RESULTS:
            if result.record in journal:
                assert repr(journal.read(result.record)) == repr(result.alleles)
            else:
                journal.append(result)
        journal.recover()
        for result in RESULTS:
            assert repr(journal.read(result.record)) == repr(result.alleles)
    path.unlink(missing_ok=True)


def check_results(data: bytes, folder: Path) -> None:
    """Bytes that passed the checksum all the same are results, or a ValueError."""
    try:
        alleles = decode_results(data)
    except ValueError:
        return
    encode_results(alleles)


def check_framed(data: bytes, folder: Path) -> None:
    """Any content of a journal's frames whose checksums are right is an error, or comes to nothing."""
    frames = data.split(b"\xff\n")
    packed = b"".join(
        len(frame).to_bytes(8, "little") + zlib.crc32(frame).to_bytes(4, "little") + frame for frame in frames
    )
    magic = journal_bytes(folder)[: journal_bytes(folder).index(b"\n") + 1]
    output = folder / "out.vcf"
    path = output.with_name(f".{output.name}{SUFFIX}")
    path.write_bytes(magic + packed)
    with our_errors(path), open_journal(output, FACTS, resume=True) as journal:
        for result in RESULTS:
            if result.record in journal:
                with our_errors(path):
                    journal.read(result.record)
    path.unlink(missing_ok=True)


def seeds_of_frames() -> Sequence[bytes]:
    """Contents of frames to begin with."""
    entry = (0).to_bytes(8, "little") + zlib.crc32(RESULTS[0].record.line).to_bytes(4, "little")
    return [
        b"\xff\n".join([json.dumps(FACTS).encode(), entry + encode_results(RESULTS[0].alleles)]),
        b"\xff\n",
    ]


def gtf_bytes() -> bytes:
    """A GTF as GENCODE has them, and lines as others have them."""
    more = (
        '#!genome-build x\nchr1\tRefSeq\texon\t5\t90\t.\t-\t0\tgene_id "X"; transcript_id ""; '
        'db_xref "a;b"; note "c d";\n'
        'chr1\tUCSC\tCDS\t5\t90\t.\t-\t0\tgene_id "X"; transcript_id "t";\nchr2\tx\tstart_codon\t1\t3\t.\t+\t0\t.\n'
        "track name=x\n\n"
    )
    return (gtf_text()[:1500].rpartition("\n")[0] + "\n" + more).encode()


POLYA = b"gene_id\tchrom\tstart\tstrand\nENSG00000000001.5\tchr1\t100\t+\nPLUS\tchr1\t14150\t-\n\n"
TEXTPROTO = b"""
# proto-message: MetadataResponse
output_metadata {
  output_type: OUTPUT_TYPE_ATAC
  tracks {
    metadata { name: "a\\303\\274 \\x41" 'b'; strand: STRAND_UNSTRANDED
      ontology_term { ontology_type: ONTOLOGY_TYPE_CL id: 84 }
      biosample { name: "T cell" type: BIOSAMPLE_TYPE_PRIMARY_CELL } assay: "ATAC-seq" nonzero_mean: 0.5 x: [1, 2] }
    metadata { name: "padding" }
  }
}
output_metadata: < >
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A parser, and files to begin with."""

    check: Check
    seeds: Callable[[Path], Sequence[bytes]]


def _check_any_vcf(data: bytes, folder: Path) -> None:
    if not data.startswith((b"\x1f\x8b", b"BCF")):  # what is compressed has tests of its own
        check_vcf(data, folder)


TARGETS = {
    "vcf": Target(check=_check_any_vcf, seeds=lambda folder: [VCF, VCF.replace(b"\n", b"\r\n")]),
    "gtf": Target(check=check_gtf, seeds=lambda folder: [gtf_bytes()]),
    "polya": Target(check=check_polya, seeds=lambda folder: [POLYA]),
    "textproto": Target(
        check=check_textproto, seeds=lambda folder: [TEXTPROTO.replace(b": < >", b" { }"), TEXTPROTO]
    ),
    "fasta_index": Target(check=check_fasta_index, seeds=lambda folder: [FASTA_INDEX]),
    "journal": Target(check=check_journal, seeds=lambda folder: [journal_bytes(folder)]),
    "frames": Target(check=check_framed, seeds=lambda folder: seeds_of_frames()),
    "results": Target(
        check=check_results, seeds=lambda folder: [encode_results(result.alleles) for result in RESULTS]
    ),
}
