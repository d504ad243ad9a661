"""The predicted signals around many variants, one variant at a time: what pictures of them are drawn from."""

from collections.abc import Iterator, Sequence

from vepscore.contract import ScoreBlock
from vepscore.engine.intake import Intake, PreparedAllele
from vepscore.engine.job import Job
from vepscore.engine.scoring import Engine, NotFiniteError
from vepscore.engine.session import Facts, open_intake, open_session
from vepscore.engine.signals import SurroundingSignal, join_pieces, surroundings
from vepscore.genome.alleles import Status
from vepscore.genome.regions import VariantText
from vepscore.io.records import Record
from vepscore.io.signal_files import RegionSignals
from vepscore.outputs import Output

# What a picture shows, where the checkpoint predicts it.
DRAWN_OUTPUTS = (Output.SPLICE_SITES, Output.DNASE, Output.ATAC, Output.RNA_SEQ)


class Surroundings:
    """A checkpoint and a reference, ready to predict around variants.

    Args:
        job: the options.

    Attributes:
        facts: what it predicts with.

    Raises:
        VepscoreError: anything that the user can act on.
    """

    def __init__(self, job: Job) -> None:
        self._intake = open_intake(job, source="the variants", assembly="")
        session = open_session(
            job,
            self._intake,
            scorers=[SurroundingSignal(name=str(output), output=output) for output in DRAWN_OUTPUTS],
            choose_tracks=lambda tracks: {out: tracks[out] for out in DRAWN_OUTPUTS if out in tracks},
        )
        self.facts: Facts = session.facts
        self._engine: Engine = session.create_engine()

    def predict(self, variants: Sequence[VariantText]) -> Iterator[tuple[RegionSignals, ...] | str]:
        """The signals of DRAWN_OUTPUTS around each variant, or why there are none."""
        for variant in variants:
            allele = prepare_variant(self._intake, variant)
            if allele.status is not Status.OK:
                yield f"{allele.status}: {allele.reason}"
                continue
            (blocks,) = self._engine.score([allele])
            if isinstance(blocks, NotFiniteError):
                yield f"{Status.FAILED}: {blocks}"
            else:
                yield tuple(self._signals(block, allele) for block in blocks)

    def _signals(self, block: ScoreBlock, allele: PreparedAllele) -> RegionSignals:
        site = allele.site
        tracks = self.facts.tracks[block.output]
        return join_pieces([block], surroundings(site), site, tracks, has_alternate=True)


def prepare_variant(intake: Intake, variant: VariantText) -> PreparedAllele:
    """The variant, as a record of a VCF would be prepared."""
    record = Record(
        index=0,
        chrom=variant.chrom,
        pos1=variant.pos1,
        id=".",
        ref=variant.ref,
        alts=(variant.alt,),
        line=b"",
    )
    (allele,) = intake.prepare(record)
    return allele
