"""Small inputs and results for tests of readers and writers."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from vepscore.contract import ScoreMatrix
from vepscore.genome.alleles import Status
from vepscore.genome.annotation import Gene
from vepscore.io.header import VcfHeader
from vepscore.io.records import Record, open_records
from vepscore.io.results import AlleleResult, Detail, RecordResult
from vepscore.outputs import Output, Tracks

META = (
    "##fileformat=VCFv4.2",
    '##FILTER=<ID=q10,Description="Quality below 10">',
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count">',
    '##INFO=<ID=DB,Number=0,Type=Flag,Description="In dbSNP">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
PROVENANCE = {"vepscoreVersion": "0.1.0", "vepscoreCommand": "vepscore score in.vcf -r ref.fa"}
CONTIGS = {"chr1": 248956422, "chr2": 242193529}
MYGENE = Gene(
    gene_id="ENSG1.2",
    name="MYGENE",
    type="protein_coding",
    chrom="chr1",
    start0=50,
    end0=900,
    strand="+",
)


def vcf_bytes(*records: str, meta: tuple[str, ...] = META, columns: str = COLUMNS) -> bytes:
    """Return a VCF with these records; spaces separate their fields."""
    body = ("\t".join(record.split(" ")) for record in records)
    return "".join(f"{line}\n" for line in (*meta, columns, *body)).encode()


def read_all(path: Path | str) -> tuple[VcfHeader, list[Record]]:
    """Return the header and all records of a file."""
    with open_records(path) as reader:
        return reader.header, list(reader)


def scored(alt: str, **fields: float | str) -> AlleleResult:
    """Return a scored allele with one detail for a gene and one without."""
    details = (
        Detail(
            scorer="RNA_SEQ",
            gene_id="ENSG1.2",
            symbol="MYGENE",
            score=-0.5,
            track="a track",
            biosample="liver; left|right",
        ),
        Detail(scorer="ATAC", score=0.25, track="t", biosample="K562"),
    )
    return AlleleResult(alt=alt, status=Status.OK, n_fraction=0.125, fields=fields, details=details)


def result_of(record: Record) -> RecordResult:
    """Return scores for ALTs with a plain sequence, and a status for others."""
    alleles = [
        scored(alt, VS_SPLICE=1.23456789, VS_SPLICE_GENE="MYGENE", VS_RNA=-0.5)
        if set(alt) <= set("ACGT")
        else AlleleResult(alt=alt, status=Status.SYMBOLIC, reason="no sequence is given")
        for alt in record.alts
    ]
    return RecordResult(record=record, alleles=tuple(alleles))


def tracks_of(output: Output, count: int) -> Tracks:
    """Return tracks on the strands +, -, . in turn; every other one without an ontology term."""
    numbers = range(count)
    return Tracks(
        output=output,
        name=np.array([f"{output} {i}" for i in numbers]),
        strand=np.array(["+-."[i % 3] for i in numbers]),
        ontology_curie=np.array([f"UBERON:{i}" if i % 2 else "" for i in numbers]),
        biosample_name=np.array([f"tissue {i}" for i in numbers]),
        assay=np.array([""] * count),
        nonzero_mean=np.ones(count, np.float32),
        channel=np.arange(count, dtype=np.int32),
    )


def block_of(output: Output, values: list[list[float]], **names: object) -> ScoreMatrix:
    """Return scores, without genes unless `genes` is given."""
    scores = np.array(values, np.float32).reshape(len(values), len(values[0]) if values else 0)
    return ScoreMatrix(
        scorer=str(output), output=output, values=scores, **{"genes": (None,) * len(scores)} | names
    )


def run_tool(*command: str | Path) -> str:
    """Return the output of a tool, which must succeed without messages on stderr; skip if it is missing."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"needs {command[0]} on the PATH")
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
