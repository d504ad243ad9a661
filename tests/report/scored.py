"""A small scored run, as `vepscore score` would have written it: an annotated VCF, a long table, and their GTF.

MAIN   chr1:1,000-4,500 +  exons 1000-1100, 2000-2120, 3000-3090, 4000-4500 (0-based, half-open)
OTHER  chr1:2,900-3,500 -  one exon

record 0   chr1:2001 A>C         the acceptor of MAIN's second exon is lost
record 1   chr1:2131 G>A,<DEL>   a donor is gained in MAIN; the second ALT has no sequence
record 2   chr1:9000 T>G         in no gene
record 3   chr2:100 C>A          REF is not that of the genome
record 4   chr1:3050 A>G         in MAIN and OTHER; the composite of record 0
record 5   chr1:3060 A           no ALT
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.scorers.cases import gtf_text
from vepscore.contract import ScoreMatrix
from vepscore.engine.summary import summarize_details, summarize_fields
from vepscore.genome.alleles import Status
from vepscore.genome.annotation import Gene
from vepscore.io.fields import DETAIL, STATUS, value_fields
from vepscore.io.header import FIXED_COLUMNS
from vepscore.io.info import format_info
from vepscore.io.long_table import LongTableWriter
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, RecordResult
from vepscore.outputs import EVENT_KINDS, Output, Tracks
from vepscore.report.ranking import Ranking, RankingOptions, rank
from vepscore.scorers.center_mask import DNASE
from vepscore.scorers.splice_events import SPLICE_EVENTS
from vepscore.scorers.splice_junctions import SPLICE_JUNCTIONS
from vepscore.scorers.splicing import SPLICE_SITE_USAGE, SPLICE_SITES

SCORERS = {
    scorer.name: scorer
    for scorer in (SPLICE_SITES, SPLICE_SITE_USAGE, SPLICE_EVENTS, SPLICE_JUNCTIONS, DNASE)
}
GENES = {
    "MAIN": ("protein_coding", "+", [[(1000, 1100), (2000, 2120), (3000, 3090), (4000, 4500)]]),
    "OTHER": ("protein_coding", "-", [[(2900, 3500)]]),
}
SAMPLES = ("mother", "child")
PROVENANCE = {"vepscoreVersion": "0.1.0", "vepscoreCheckpoint": "of-a-test"}
NAN = np.nan


def _gene(gene_id: str) -> Gene:
    kind, strand, (exons,) = GENES[gene_id]
    return Gene(
        gene_id=gene_id,
        name=gene_id.title(),
        type=kind,
        chrom="chr1",
        start0=exons[0][0],
        end0=exons[-1][1],
        strand=strand,
    )


MAIN, OTHER = map(_gene, GENES)


def _tracks(output: Output, names: str, strands: str, tissues: str = "") -> Tracks:
    count = len(strands)
    tissue = tissues.split(",") if tissues else [""] * count
    return Tracks(
        output=output,
        name=np.array(names.split(",")),
        strand=np.array(list(strands)),
        ontology_curie=np.array([f"UBERON:{name[0]}" if name else "" for name in tissue]),
        biosample_name=np.array(tissue),
        assay=np.array([""] * count),
        nonzero_mean=np.ones(count, np.float32),
        channel=np.arange(count, dtype=np.int32),
    )


TRACKS = {
    Output.SPLICE_SITES: _tracks(Output.SPLICE_SITES, "donor,acceptor,donor,acceptor", "++--"),
    Output.SPLICE_SITE_USAGE: _tracks(Output.SPLICE_SITE_USAGE, "usage,usage", "..", "heart,left liver"),
    Output.SPLICE_JUNCTIONS: _tracks(Output.SPLICE_JUNCTIONS, "junction,junction", "..", "heart,left liver"),
    Output.DNASE: _tracks(Output.DNASE, "dnase,dnase", "..", "heart,K562"),
}


def _block(
    scorer: str,
    values: Sequence[Sequence[float]] | np.ndarray,
    genes: tuple[Gene | None, ...] = (MAIN,),
    **more: object,
) -> ScoreMatrix:
    return ScoreMatrix(
        scorer=scorer,
        output=SCORERS[scorer].output,
        values=np.array(values, np.float32),
        genes=genes,
        **more,
    )


def events_of(gene: Gene, **changes: tuple[float, int]) -> ScoreMatrix:
    """Kind of event → score and 0-based position; the others are 0 and nowhere."""
    values = np.full((4, 4), NAN)
    first = 2 * "+-".index(gene.strand)
    for row, event in enumerate(EVENT_KINDS):
        values[row, first + event.startswith("acceptor")] = changes.get(event, (0, -1))[0]
    positions = np.array([changes.get(event, (0, -1))[1] for event in EVENT_KINDS])
    return _block("SPLICE_EVENTS", values, (gene,) * 4, positions=positions, labels=EVENT_KINDS)


def allele_of(alt: str, *matrices: ScoreMatrix, genes: tuple[Gene, ...] = (MAIN,)) -> AlleleResult:
    return AlleleResult(
        alt=alt,
        status=Status.OK,
        fields=summarize_fields(matrices, SCORERS),
        details=summarize_details(matrices, TRACKS, genes),
        matrices=matrices,
    )


def _junctions(*rows: tuple[int, int, float, float]) -> ScoreMatrix:
    """Start, end, and the scores in heart and liver."""
    places = np.array([row[:2] for row in rows])
    return _block("SPLICE_JUNCTIONS", [row[2:] for row in rows], (MAIN,) * len(rows), junctions=places)


RECORDS = {
    ("chr1", 2001, "A"): [
        allele_of(
            "C",
            _block("SPLICE_SITES", [[0.125, 0.75, NAN, NAN]]),
            _block("SPLICE_SITE_USAGE", [[0.25, 0.5]]),
            events_of(MAIN, acceptor_loss=(-0.75, 2000), donor_gain=(0.125, 2030)),
            _junctions((1100, 2000, 0.5, 0.75), (1100, 3000, 1.25, 0.25)),
            _block("DNASE", [[0.5, -0.25]], (None,)),
        )
    ],
    ("chr1", 2131, "G"): [
        allele_of(
            "A",
            _block("SPLICE_SITES", [[0.5, 0.25, NAN, NAN]]),
            _block("SPLICE_SITE_USAGE", [[0.125, 0.25]]),
            events_of(MAIN, donor_gain=(0.5, 2131)),
            _block("DNASE", [[0.125, -0.75]], (None,)),
        ),
        AlleleResult(alt="<DEL>", status=Status.SYMBOLIC, reason="no sequence is given"),
    ],
    ("chr1", 9000, "T"): [allele_of("G", _block("DNASE", [[-0.25, 0.125]], (None,)), genes=())],
    ("chr2", 100, "C"): [AlleleResult(alt="A", status=Status.REF_MISMATCH)],
    ("chr1", 3050, "A"): [
        allele_of(
            "G",
            _block("SPLICE_SITES", [[0.125, 0.0625, NAN, NAN], [NAN, NAN, 1, 0]], (MAIN, OTHER)),
            _block("SPLICE_SITE_USAGE", [[0.0625, 0.03125], [0.5, 0.25]], (MAIN, OTHER)),
            events_of(MAIN, donor_loss=(-0.125, 3089)),
            genes=(MAIN, OTHER),
        )
    ],
    ("chr1", 3060, "A"): [],
}
FREQUENCIES = ("0.5", "0.001,0.2", ".", "0.001", "1e-5", ".")
GENOTYPES = (("0/1", "0/0"), ("0|1", "2|2"), ("./.", "0/1"), ("0/0", "1/1"), ("0/0", "1"), ("0/0", "0/0"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored:
    """The files."""

    vcf: Path
    parquet: Path
    gtf: Path


def results() -> list[RecordResult]:
    """All records with their results."""
    return [
        RecordResult(
            record=Record(
                index=index,
                chrom=chrom,
                pos1=pos1,
                id=f"rs{index}" if index else ".",
                ref=ref,
                alts=tuple(allele.alt for allele in alleles),
                line=b"",
            ),
            alleles=tuple(alleles),
        )
        for index, ((chrom, pos1, ref), alleles) in enumerate(RECORDS.items())
    ]


def vcf_text(quantiles: Mapping[tuple[int, int], float] | None = None) -> str:
    """The annotated VCF; `quantiles` of VS_SPLICE by record and ALT."""
    ranked = quantiles is not None
    lines = ["##fileformat=VCFv4.2", '##INFO=<ID=AF,Number=A,Type=Float,Description="of a test">']
    lines += [field.header_line for field in (STATUS, *value_fields(ranked=ranked), DETAIL)]
    lines += [f"##{key}={value}" for key, value in PROVENANCE.items()]
    lines.append("\t".join((*FIXED_COLUMNS, "FORMAT", *SAMPLES)))
    for result, frequency, genotypes in zip(results(), FREQUENCIES, GENOTYPES, strict=True):
        record = result.record
        alleles = [
            dataclasses.replace(
                allele, fields={**allele.fields, "VS_SPLICE_Q": quantiles[record.index, index]}
            )
            if ranked and (record.index, index) in quantiles
            else allele
            for index, allele in enumerate(result.alleles)
        ]
        info = f"AF={frequency}"
        if alleles:
            info += f";{format_info(alleles, ranked=ranked).decode()}"
        place = (
            record.chrom,
            str(record.pos1),
            record.id,
            record.ref,
            ",".join(record.alts) or ".",
            ".",
            ".",
        )
        lines.append("\t".join((*place, info, "GT:DP", *(f"{genotype}:9" for genotype in genotypes))))
    return "".join(f"{line}\n" for line in lines)


def write_scored(folder: Path) -> Scored:
    """Writes all of it."""
    scored = Scored(vcf=folder / "scored.vcf", parquet=folder / "scored.parquet", gtf=folder / "genes.gtf")
    scored.vcf.write_text(vcf_text())
    scored.gtf.write_text(gtf_text(GENES))
    with LongTableWriter(scored.parquet, TRACKS, PROVENANCE) as writer:
        for result in results():
            writer.write(result)
    return scored


def ranked(source: Path, by: str = "splice", **options: Any) -> Ranking:
    """Return the alternate alleles of an annotated VCF or a table, in order."""
    return rank(RankingOptions(source=str(source), by=by, **options))
