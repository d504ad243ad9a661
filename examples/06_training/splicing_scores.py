"""What `evaluate_splicing.py` compares: predictions and scores of checkpoints, kept in a folder so that it resumes.

Each file is written whole or not at all; its name depends on the checkpoint, the sequence or variants, and settings.
Axes: N variants, P positions within DISTANCE_BP of a variant, S bp, T tracks.
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from draw_background import Variant, write_variants
from evaluate_held_out import SiteTile, create_predictor

import vepscore
from vepscore.contract import GeneSite, Site
from vepscore.engine.job import Job, resolve_defaults
from vepscore.engine.session import open_preparer, open_session
from vepscore.engine.settings import fixed_settings
from vepscore.engine.signal_scorers import RegionSignal, bins_of
from vepscore.errors import CheckpointError
from vepscore.genome.cache import published
from vepscore.genome.fasta import Reference
from vepscore.genome.regions import VariantText
from vepscore.model.allele_plan import ReadyAllele
from vepscore.model.checkpoint import Checkpoint, checkpoint_digest, load_checkpoint
from vepscore.model.network import DeltaRules
from vepscore.model.registry import FILES
from vepscore.model.track_table import read_outputs
from vepscore.networks.dilated.delta_scores import align_alternate
from vepscore.networks.dilated.splice_networks import SpliceAI
from vepscore.networks.dilated.spliceai_deltas import SpliceAIDeltas
from vepscore.options import GenomeOptions
from vepscore.outputs import SPLICE_CLASSES, Output

DISTANCE_BP = 50
_DELTA_WINDOW = "16kb"
_COMPOSITE = (Output.SPLICE_SITES, Output.SPLICE_SITE_USAGE, Output.SPLICE_JUNCTIONS)  # parts of VS_SPLICE
_AT_ONCE = 100  # variants in a file


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """The genome that variants are scored on."""

    reference: Path
    genes: Path

    @functools.cached_property
    def genome(self) -> Reference:
        """Return the reference genome."""
        return Reference(self.reference)


class EvaluatedCheckpoint:
    """A checkpoint, whose predictions are computed if they are not in the cache.

    Args:
        directory: of the checkpoint.
        name: of its rows.
        cache: folder of the predictions of all checkpoints.
        source: what variants are scored on.
    """

    def __init__(self, directory: Path, name: str, cache: Path, source: Source) -> None:
        self.name, self._directory, self._source = name, directory, source
        self._cache = cache / checkpoint_digest(directory)[:16]

    @functools.cached_property
    def _checkpoint(self) -> Checkpoint:
        checkpoint = load_checkpoint(self._directory, outputs=(Output.SPLICE_SITES,))
        table = checkpoint.tracks.get(Output.SPLICE_SITES)
        if table is None or len(table) != len(SPLICE_CLASSES) or table.resolution_bp != 1:
            raise CheckpointError(
                f"{self._directory} does not predict donors and acceptors of both strands at 1 bp"
            )
        return checkpoint

    @functools.cached_property
    def _predictor(self) -> Callable[[np.ndarray], np.ndarray]:
        return create_predictor([self._checkpoint], Output.SPLICE_SITES)

    def predict_sites(self, tile: SiteTile) -> np.ndarray:
        """Return the probabilities of a whole tile, float32 (S, 4), by SPLICE_CLASSES."""
        predicted = self._predictor(tile.codes(self._checkpoint.network.margin_bp))
        return predicted[0, :, : len(SPLICE_CLASSES)]

    def read_sites(self, tile: SiteTile) -> np.ndarray:
        """Return the probabilities at the valid positions of a tile, float16 (valid, 4), from the cache."""
        key = f"{tile.segment.chrom}_{tile.start0}_{len(tile.valid)}_{zlib.crc32(tile.codes().tobytes()):08x}"
        path = self._cache / "sites" / f"{key}.npy"
        return _cached(path, lambda: self._predict_valid(tile)).astype(np.float32)

    def _predict_valid(self, tile: SiteTile) -> np.ndarray:
        """Return the probabilities at the valid positions of a tile, (valid, 4)."""
        valid, step_bp = np.flatnonzero(tile.valid), max(len(tile.valid) // 4, 1)
        if not len(valid) or not self._checkpoint.network.margin_bp:
            return self.predict_sites(tile)[valid]
        # With margins, the rest of the tile matters nothing. There are few widths, which are compiled once each.
        width_bp = -(-(valid[-1] + 1 - valid[0]) // step_bp) * step_bp
        part = tile._replace(start0=tile.start0 + int(valid[0]), valid=tile.valid[:width_bp])
        return self.predict_sites(part)[valid - valid[0]]

    @functools.cached_property
    def _deltas(self) -> "DeltaReader":
        network, job = self._checkpoint.network, delta_job(self._directory, self._source)
        if isinstance(network, SpliceAI):
            return ProgramDeltas(job, self._source, network)
        return EngineDeltas(job, self._source)

    def read_deltas(self, variants: Sequence[Variant], strand: np.ndarray) -> np.ndarray:
        """Return alt - ref of donors and acceptors of a strand around each variant, float32 (N, P, 2).

        Positions are those of the reference, from DISTANCE_BP before POS to as many after it. Alleles are compared as
        written, and aligned by the rule of `vepscore.genome.alignment`. NaN where a variant is not scored.
        """
        parts = []
        for first in range(0, len(variants), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            path = self._cache / "deltas" / f"{_checksum(variants[rows], strand[rows].tolist())}.npy"
            parts.append(_cached(path, lambda rows=rows: self._deltas.read(variants[rows], strand[rows])))
        return np.concatenate(parts).astype(np.float32)

    def read_scores(self, variants: Sequence[Variant], window: str) -> np.ndarray:
        """Return VS_SPLICE as `vepscore score` writes it, float64 (N,); NaN where a variant is not scored."""
        key = _checksum(variants)
        vcf, table = self._cache / f"{key}.vcf", self._cache / f"scores_{key}_{window}.tsv"
        if not table.exists():
            if not vcf.exists():  # an interrupted run resumes only with the same file
                vcf.parent.mkdir(parents=True, exist_ok=True)
                write_variants(str(vcf), self._source.genome, list(variants))
            outputs = read_outputs(self._directory / FILES[1])
            model = vepscore.load(
                self._directory,
                reference=self._source.reference,
                genes=self._source.genes,
                window=window,
                scorers=[str(output) for output in _COMPOSITE if output in outputs],
            )
            model.score_vcf(vcf, [], table=str(table))
        return pd.read_csv(table, sep="\t", comment="#")["VS_SPLICE"].to_numpy(float)


def delta_job(directory: Path, source: Source) -> Job:
    """Return the options with which both alleles of a variant are compared as written."""
    job = Job(genome=GenomeOptions.build({"reference": str(source.reference)}), command=("evaluate",))
    options = {"checkpoint": str(directory), "genes": str(source.genes), "window": _DELTA_WINDOW}
    return resolve_defaults(job.changed(**options, as_written=True))


class DeltaReader:
    """Compares both alleles of variants at the positions around them."""

    def __init__(self, job: Job, source: Source) -> None:
        self._preparer = open_preparer(job, source="the variants", assembly="")
        self._genome = source.genome

    def read(self, variants: Sequence[Variant], strand: np.ndarray) -> np.ndarray:
        """Return alt - ref, (N, P, 2); see `EvaluatedCheckpoint.read_deltas`."""
        found = np.full((len(variants), 2 * DISTANCE_BP + 1, 2), np.nan, np.float32)
        names = list(self._genome.contigs)
        for index, (contig, pos0, ref, alt) in enumerate(variants):
            text = VariantText(chrom=names[contig], pos1=pos0 + 1, ref=ref, alt=alt)
            allele = self._preparer.prepare_variant(text)
            if isinstance(allele, ReadyAllele):
                found[index] = self._compare(allele, int(strand[index]))
        return found

    def _compare(self, allele: ReadyAllele, strand: int) -> np.ndarray:
        """Return alt - ref of one variant, (P, 2)."""
        raise NotImplementedError


class NearbySites(RegionSignal):
    """The probabilities of both alleles around each variant."""

    def _bins(self, site: Site) -> np.ndarray:
        pos0 = site.allele.pos0
        return bins_of(pos0 - DISTANCE_BP, pos0 + DISTANCE_BP + 1, 1, site.window)


class EngineDeltas(DeltaReader):
    """Deltas of any network, by the engine of `vepscore score`."""

    def __init__(self, job: Job, source: Source) -> None:
        super().__init__(job, source)
        output = Output.SPLICE_SITES
        scorer = NearbySites(name=str(output), output=output)
        self._engine = open_session(job, self._preparer, scorers=[scorer]).create_engine()

    def _compare(self, allele: ReadyAllele, strand: int) -> np.ndarray:
        (matrices,) = self._engine.score([allele])
        if isinstance(matrices, Exception):
            raise CheckpointError(f"{allele.site.allele}\n{matrices}")
        reference, alternate = np.split(matrices[0].values, 2)
        return (alternate - reference)[:, 2 * strand : 2 * strand + 2]


class AlignedChanges(SpliceAIDeltas, program="", field=""):
    """Deltas of an ensemble at all positions, where `SpliceAIDeltas` returns the largest."""

    def changes(self, site: GeneSite, codes: np.ndarray, strand: str) -> np.ndarray:
        """Return alt - ref of donors and acceptors of a strand, (P, 2); bases beyond genes are read too."""
        reference, alternate = self._predict(site, codes, strand)
        zeros_at = DISTANCE_BP + 1
        aligned = align_alternate(alternate, DISTANCE_BP, site.allele.inserted_bp, zeros_at=zeros_at)
        return aligned - reference


class ProgramDeltas(DeltaReader):
    """Deltas of SpliceAI's architecture, of which only what the variant reaches is computed: several times faster."""

    def __init__(self, job: Job, source: Source, network: SpliceAI) -> None:
        super().__init__(job, source)
        self._scorer = AlignedChanges(network, DeltaRules(distance_bp=DISTANCE_BP))

    @fixed_settings()
    def _compare(self, allele: ReadyAllele, strand: int) -> np.ndarray:
        assert isinstance(allele.site, GeneSite)
        return self._scorer.changes(allele.site, allele.reference_codes, "+-"[strand])


def _checksum(*values: object) -> str:
    return f"{zlib.crc32(repr(values).encode()):08x}"


def _cached(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array in a file, float16, which is computed and written if it is not there."""
    if not path.exists():
        values = compute().astype(np.float16)
        with published(path) as partial, partial.open("wb") as file:
            np.save(file, values)
    return np.load(path)
