"""A small genome for the scorers' tests, and a substitute for the engine that runs their three phases.

    PLUS       chr1:10,500-12,500 +  protein_coding, two transcripts
    MINUS      chr1:11,900-13,900 -  protein_coding
    NONCODING  chr1:12,450-12,600 +  lncRNA
    BEFORE     chr1:9,000-10,000  -  protein_coding; its start counts as 10,000

Coordinates are 0-based and half-open, but for the GTF. The window is chr1:10,000-14,096.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vepscore.contract import Footprint, GeneSite, ScoreMatrix, Scorer, Site
from vepscore.genome.alignment import align_positions
from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Annotation
from vepscore.genome.polya import PolyASites
from vepscore.genome.windows import Window
from vepscore.networks.alphagenome.config import scored_resolution_bp
from vepscore.outputs import Output, Tracks

WINDOW = Window(chrom="chr1", start0=10_000, end0=14_096)

# gene → type, strand, and for each transcript its exons
GENES = {
    "PLUS": (
        "protein_coding",
        "+",
        [
            [(10_500, 10_600), (11_000, 11_100), (12_400, 12_500)],
            [(10_550, 10_700), (12_300, 12_500)],
        ],
    ),
    "MINUS": ("protein_coding", "-", [[(11_900, 12_000), (13_000, 13_100), (13_800, 13_900)]]),
    "NONCODING": ("lncRNA", "+", [[(12_450, 12_600)]]),
    "BEFORE": ("protein_coding", "-", [[(9_000, 10_000)]]),
}


def gtf_text(genes: Mapping[str, tuple] = GENES) -> str:
    """Return a GTF of `genes`."""
    lines = []
    for gene_id, (gene_type, strand, transcripts) in genes.items():
        names = f'gene_id "{gene_id}"; gene_name "{gene_id.title()}"; gene_type "{gene_type}";'
        lines.append(_line("gene", [exon for exons in transcripts for exon in exons], strand, names))
        for number, exons in enumerate(transcripts):
            attributes = f'{names} transcript_id "{gene_id}.{number}";'
            lines.append(_line("transcript", exons, strand, attributes))
            lines += [_line("exon", [exon], strand, attributes) for exon in exons]
    return "".join(lines)


def _line(feature: str, exons: list[tuple[int, int]], strand: str, attributes: str) -> str:
    start1, end1 = min(start for start, _ in exons) + 1, max(end for _, end in exons)
    return f"chr1\ttest\t{feature}\t{start1}\t{end1}\t.\t{strand}\t.\t{attributes}\n"


def read_annotation(folder: Path, genes: Mapping[str, tuple] = GENES) -> Annotation:
    """Return the annotation of `genes`, read from a GTF in `folder`."""
    path = folder / "genes.gtf"
    path.write_text(gtf_text(genes))
    return Annotation.from_gtf(path, folder / "cache")


def read_polya(folder: Path, sites: Mapping[str, tuple[str, list[int]]]) -> PolyASites:
    """Return poly(A) sites by gene, each with its strand, read from a table in `folder`."""
    path = folder / "polya.tsv"
    rows = [
        f"{gene}\tchr1\t{start}\t{strand}" for gene, (strand, starts) in sites.items() for start in starts
    ]
    path.write_text("\n".join(["gene_id\tchrom\tstart\tstrand", *rows]) + "\n")
    return PolyASites.from_tsv(path)


RESOLUTIONS = {output: scored_resolution_bp(output) for output in Output}
BIN_BP = 32  # of RNA-seq coverage in `binned_site`, as Borzoi's


def allele(pos0: int, ref: str = "A", alt: str = "C") -> Allele:
    """Return an allele on chr1, by default an SNV."""
    return Allele(chrom="chr1", pos0=pos0, ref=ref, alt=alt)


def binned_site(annotation: Annotation, of: Allele, window: Window = WINDOW) -> GeneSite:
    """Return a site of a network that predicts RNA-seq coverage in bins."""
    return GeneSite(allele=of, window=window, annotation=annotation, resolutions={Output.RNA_SEQ: BIN_BP})


def make_tracks(output: Output, strands: str) -> Tracks:
    """Return tracks on the given strands."""
    count = len(strands)
    empty = np.full(count, "")
    return Tracks(
        output=output,
        name=np.array([f"track {index}" for index in range(count)]),
        strand=np.array(list(strands)),
        ontology_curie=empty,
        biosample_name=empty,
        assay=empty,
        nonzero_mean=np.ones(count, np.float32),
        channel=np.arange(count, dtype=np.int32),
    )


def gather(signal: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the signal at the positions, 0 at -1."""
    gathered = signal[positions].astype(np.float32)
    gathered[positions < 0] = 0
    return gathered


def gather_alternate(signal: np.ndarray, footprint: Footprint, site: Site) -> np.ndarray:
    """Return the alternate's signal as the engine does, in reference coordinates if requested."""
    if not footprint.aligned:
        return gather(signal, footprint.positions)
    index = align_positions(footprint.positions, site.allele, site.window)
    gathered = gather(signal, index.alternate)
    if index.anchor < len(gathered):
        gathered[index.anchor] = signal[index.span[index.span >= 0]].max(axis=0)
    return gathered


def run(
    scorer: Scorer, site: Site, reference: np.ndarray, alternate: np.ndarray, strands: str = "."
) -> ScoreMatrix:
    """Run the three phases on signals over the whole window."""
    footprint = scorer.footprint(site)
    signals = gather(reference, footprint.positions), gather_alternate(alternate, footprint, site)
    return scorer.rows(
        score(scorer, *signals, footprint), footprint, site, make_tracks(scorer.output, strands)
    )


def score(scorer: Scorer, reference: Any, alternate: Any, footprint: Footprint) -> Any:
    """Run the second phase compiled, with strict promotion of dtypes."""
    with jax.numpy_dtype_promotion("strict"):
        return jax.device_get(jax.jit(scorer.score)(reference, alternate, dict(footprint.masks)))


def shapes(footprint: Footprint) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array that goes to the device, which decide what is compiled."""
    return {"positions": footprint.positions.shape} | {
        name: mask.shape for name, mask in footprint.masks.items()
    }
