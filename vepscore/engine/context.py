"""Predict signals around many variants, one variant at a time, for pictures of them."""

from collections.abc import Iterator, Sequence

from vepscore.contract import ScoreMatrix
from vepscore.engine.job import Job, resolve_defaults
from vepscore.engine.preparer import ReadyAllele, RefusedAllele
from vepscore.engine.scoring import Engine, NotFiniteError
from vepscore.engine.session import SessionInfo, open_preparer, open_session
from vepscore.engine.signal_scorers import ContextSignal, context_window, join_pieces
from vepscore.genome.alleles import Status
from vepscore.genome.regions import VariantText
from vepscore.io.signal_files import RegionSignals
from vepscore.outputs import Output

# The outputs that a picture shows, if the checkpoint predicts them.
DRAWN_OUTPUTS = (Output.SPLICE_SITES, Output.DNASE, Output.ATAC, Output.RNA_SEQ)


class ContextPredictor:
    """A checkpoint and a reference, ready to predict signals around variants.

    Args:
        job: the options.

    Attributes:
        info: about the checkpoint and the device.

    Raises:
        VepscoreError: anything that the user can act on.
    """

    def __init__(self, job: Job) -> None:
        job = resolve_defaults(job)
        self._preparer = open_preparer(job, source="the variants", assembly="")
        session = open_session(
            job,
            self._preparer,
            scorers=[ContextSignal(name=str(output), output=output) for output in DRAWN_OUTPUTS],
            choose_tracks=lambda tracks: {out: tracks[out] for out in DRAWN_OUTPUTS if out in tracks},
        )
        self.info: SessionInfo = session.info
        self._engine: Engine = session.create_engine()

    def predict(self, variants: Sequence[VariantText]) -> Iterator[tuple[RegionSignals, ...] | str]:
        """Yield the signals of DRAWN_OUTPUTS around each variant, or why there are none."""
        for variant in variants:
            allele = self._preparer.prepare_variant(variant)
            if isinstance(allele, RefusedAllele):
                yield f"{allele.status}: {allele.reason}"
                continue
            (matrices,) = self._engine.score([allele])
            if isinstance(matrices, NotFiniteError):
                yield f"{Status.FAILED}: {matrices}"
            else:
                yield tuple(self._signals(matrix, allele) for matrix in matrices)

    def _signals(self, matrix: ScoreMatrix, allele: ReadyAllele) -> RegionSignals:
        site = allele.site
        tracks = self.info.tracks[matrix.output]
        return join_pieces([matrix], context_window(site), site, tracks, has_alternate=True)
