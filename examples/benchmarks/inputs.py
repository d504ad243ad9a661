"""The inputs of the benchmarks: genome, annotation and checkpoint, opened as `vepscore score` opens them."""

import argparse
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vepscore.contract import Scorer
from vepscore.engine.dense import DenseEngine
from vepscore.engine.device import default_precision, find_devices
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scoring import Engine
from vepscore.engine.selection import choose_scorers, select_scorers
from vepscore.engine.settings import set_up_process
from vepscore.engine.sparse import SparseEngine
from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.genome.fasta import Reference
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.polya import PolyASites
from vepscore.genome.windows import parse_width
from vepscore.model.allele_plan import needed_outputs
from vepscore.model.checkpoint import Checkpoint, load_checkpoint
from vepscore.model.registry import resolve_checkpoint
from vepscore.networks.alphagenome.config import TRUNK_BIN_BP
from vepscore.networks.alphagenome.encoding import SEGMENT_BINS
from vepscore.options import ALL_SCORERS

ENGINES = {"sparse": SparseEngine, "dense": DenseEngine}


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all measurements share."""
    parser.add_argument("--reference", type=Path, required=True, help="FASTA in genome coordinates")
    parser.add_argument("--genes", type=Path, required=True, help="GTF")
    parser.add_argument("--polya", type=Path, help="poly(A) sites; default: transcript ends")
    parser.add_argument("--checkpoint", help="a name or a directory; default: the embedded one")
    parser.add_argument("--chrom", default="chr16", help="contig of the variants (default: %(default)s)")
    parser.add_argument("--window", type=parse_width, default=parse_width("16kb"), metavar="WIDTH")
    parser.add_argument(
        "--scorers", nargs="+", default=[ALL_SCORERS], metavar="NAME", help="default: all that can run"
    )
    parser.add_argument(
        "--indel-anchor", type=IndelAnchor, choices=list(IndelAnchor), help="default: the checkpoint's"
    )
    parser.add_argument("--output", type=Path, help="folder for JSON and plots")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """The files of a measurement, each opened on first use."""

    reference_path: Path
    genes_path: Path
    polya_path: Path | None
    checkpoint_name: str | None
    scorer_names: tuple[str, ...] = (ALL_SCORERS,)

    @functools.cached_property
    def reference(self) -> Reference:
        """The genome."""
        return Reference(self.reference_path, cache_dir())

    @functools.cached_property
    def annotation(self) -> Annotation:
        """The genes."""
        return Annotation.from_gtf(self.genes_path, cache_dir())

    @functools.cached_property
    def polya(self) -> PolyASites:
        """The poly(A) sites, so that all scorers have work."""
        return PolyASites.from_tsv(self.polya_path) if self.polya_path else _transcript_ends(self.annotation)

    @functools.cached_property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint, on the best device, in its default precision."""
        set_up_process()
        precision = default_precision(find_devices("auto")[0].platform)
        return load_checkpoint(
            resolve_checkpoint(self.checkpoint_name),
            dtype=precision,
            outputs=set().union(*map(needed_outputs, choose_scorers(self.scorer_names, None).scorers)),
        )

    @functools.cached_property
    def scorers(self) -> Sequence[Scorer]:
        """The named scorers, or all that the checkpoint supports."""
        choice = choose_scorers(self.scorer_names, None)
        return select_scorers(choice, self.checkpoint, has_genes=True, has_polya=True).scorers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs of a measurement: data, contig, window width and indel anchor."""

    data: Data
    chrom: str
    window_bp: int
    indel_anchor: IndelAnchor | None = None  # None: that of the checkpoint

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> "Inputs":
        """Return the inputs from the options of `add_input_options`."""
        data = Data(
            reference_path=options.reference,
            genes_path=options.genes,
            polya_path=options.polya,
            checkpoint_name=options.checkpoint,
            scorer_names=tuple(options.scorers),
        )
        return cls(
            data=data,
            chrom=options.chrom,
            window_bp=options.window,
            indel_anchor=options.indel_anchor,
        )

    @property
    def sharing_align_bp(self) -> int:
        """A grid of window starts on which neighbors share encoder tiles, if the window is wide enough."""
        return min(2 * SEGMENT_BINS * TRUNK_BIN_BP, self.window_bp // 4)

    def preparer(self, align_bp: int = 1) -> AllelePreparer:
        """Return a preparer for windows on a grid of some bp."""
        return AllelePreparer(
            reference=self.data.reference,
            window_bp=self.window_bp,
            align_bp=align_bp,
            resolutions={
                output: table.resolution_bp for output, table in self.data.checkpoint.tracks.items()
            },
            annotation=self.data.annotation,
            polya=self.data.polya,
            indel_anchor=self.indel_anchor or self.data.checkpoint.config.indel_anchor,
        )

    def open_engine(self, kind: str) -> Engine:
        """Return a new engine, "sparse" or "dense"; it accepts windows of one width only."""
        return ENGINES[kind](self.data.checkpoint, self.data.scorers)


def _transcript_ends(annotation: Annotation) -> PolyASites:
    transcripts, genes = annotation.transcripts, annotation.genes
    last0 = np.where(transcripts.strand == "-", transcripts.start0, transcripts.end0 - 1)
    ends: dict[tuple[str, str, str], set[int]] = {}
    for chrom, strand, gene, end0 in zip(
        transcripts.chrom, transcripts.strand, transcripts.gene, last0, strict=True
    ):
        locus = str(genes.gene_id[gene]), annotation.contigs.names[chrom], str(strand)
        ends.setdefault(locus, set()).add(int(end0))
    return PolyASites({locus: np.array(sorted(found)) for locus, found in ends.items()}, digest="")
