"""Turn embeddings into score matrices: signals where scorers read, then the scorers. All engines use it.

An engine provides a reader of each allele's embeddings; see `vepscore.engine.signal_reading`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool

from vepscore.contract import Junctions, ScoreMatrix, Scorer, padded_size
from vepscore.engine.signal_reading import Signals, choose_junction_sites, count_junctions, predict_signals
from vepscore.engine.strand import mirror_channels
from vepscore.genome.alignment import AlignedPositions
from vepscore.model.allele_plan import AllelePlan, Group, ReadyAllele, Request, needed_outputs
from vepscore.model.network import Network
from vepscore.model.predictor import Reader
from vepscore.outputs import SPLICE_CLASSES, Output, Tracks

_SITE_SIZES = (16, 64, 128, 256, 512)  # junction sites per class are padded to one of these


class NotFiniteError(Exception):
    """The device returned NaN or infinity for an allele."""


AlleleScores = list[ScoreMatrix] | NotFiniteError  # of one allele, in the order of the scorers


class Engine(Protocol):
    """What a run needs of an engine."""

    @property
    def scorers(self) -> Sequence[Scorer]:
        """The scorers of the run."""

    @property
    def tracks(self) -> Mapping[Output, Tracks]:
        """The tracks of each output."""

    @property
    def batch(self) -> int:
        """The number of alleles that it works on together."""

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        """Return the score matrices of each allele, in the order of the scorers."""


class Scoring:
    """The heads of a checkpoint and the scorers of a run.

    Args:
        network: the network whose heads to use.
        tracks: the tracks of each output.
        scorers: the scorers of the run.
        reverse: the network is given the windows' minus strand.

    Raises:
        CheckpointError: `reverse`, and the tracks of an output that is read do not come in pairs of strands.
    """

    def __init__(
        self,
        network: Network,
        tracks: Mapping[Output, Tracks],
        scorers: Sequence[Scorer],
        *,
        reverse: bool,
    ) -> None:
        self.tracks = tracks
        outputs: set[Output] = set().union(*map(needed_outputs, scorers))
        network = network.with_tracks(
            {
                output: mirror_channels(tracks[output]) if reverse else tracks[output].channel
                for output in outputs
            }
        )
        graph, self._state = nnx.split(network)
        resolutions = {output: tracks[output].resolution_bp for output in outputs}
        self._predict = jax.jit(
            functools.partial(predict_signals, graph, reverse, resolutions), static_argnames="outputs"
        )
        self._count = jax.jit(functools.partial(count_junctions, graph, reverse, resolutions))
        self._choose = jax.jit(
            functools.partial(choose_junction_sites, network.max_splice_sites, network.splice_site_threshold)
        )

    def predict(self, group: Group, reader: Reader, *, alternate: bool) -> Signals:
        """Return one allele's signals at the group's positions, the alternate's in reference coordinates."""
        read = group.positions
        positions = read if alternate else AlignedPositions.unchanged(read.reference)
        return self._predict(self._state, reader, positions, outputs=group.outputs)

    def score(
        self,
        plan: AllelePlan,
        reference: Reader,
        alternate: Reader,
        predict_reference: Callable[[Group], Signals],
    ) -> AlleleScores:
        """Return the score matrices of one allele.

        Args:
            plan: what is read.
            reference: the reference's embeddings.
            alternate: the alternate's embeddings; the reference's if the allele changes nothing.
            predict_reference: returns the reference's signals of a group.
        """
        pair: tuple[Any, Any]
        found: dict[Scorer, tuple[Request, Any]] = {}
        for group in plan.groups:
            known = predict_reference(group)
            changed = not plan.allele.changes_nothing
            signals = known, self.predict(group, alternate, alternate=True) if changed else known
            for request in group.requests:
                output = request.scorer.output
                if output is Output.SPLICE_JUNCTIONS:
                    pair = self._junctions(group, request, signals, (reference, alternate))
                else:
                    pair = signals[0][output], signals[1][output]
                found[request.scorer] = (
                    request,
                    _score(*pair, request.footprint.masks, self._is_read(request), scorer=request.scorer),
                )
        # Wait for the device once, not once per scorer.
        values = jax.device_get([result for _, result in found.values()])
        scored = dict(zip(found, values, strict=True))
        matrices = []
        for scorer in (scorer for scorer in plan.scorers if scorer in found):
            scores, is_finite = scored[scorer]
            if not is_finite:
                return NotFiniteError(f"{scorer.output}: the device returned numbers that are not finite")
            footprint, tracks = found[scorer][0].footprint, self.tracks[scorer.output]
            matrix = scorer.rows(scores, footprint, plan.allele.site, tracks)
            changes_nothing = plan.allele.changes_nothing and scorer.compares
            matrices.append(without_change(matrix) if changes_nothing else matrix)
        return matrices

    def _junctions(
        self, group: Group, request: Request, signals: tuple[Signals, Signals], readers: tuple[Reader, Reader]
    ) -> tuple[Junctions, Junctions]:
        """Return the junctions between the sites that either allele or the annotation has."""
        probabilities = [signal[Output.SPLICE_SITES] for signal in signals]
        positions = group.positions
        annotated, classes = request.footprint.annotated_sites, request.footprint.site_classes
        if classes is None:
            classes = np.ones(len(SPLICE_CLASSES), bool)
        if annotated is None:
            annotated = np.zeros((len(positions.reference), len(SPLICE_CLASSES)), bool)
        sites, most = self._choose(*probabilities, positions.reference, annotated, classes)
        sites = sites[:, : request.scorer.max_sites]
        sizes = [*(size for size in _SITE_SIZES if size < sites.shape[1]), sites.shape[1]]
        sites = sites[:, : padded_size(min(int(most), sites.shape[1]), sizes)]
        return self._count(self._state, probabilities, sites, classes, positions, *readers)

    def _is_read(self, request: Request) -> Bool[np.ndarray, "..."]:
        """Return which tracks a scorer reads; junctions have all strands in each track."""
        output, strand = request.scorer.output, request.footprint.strand
        if output is Output.SPLICE_JUNCTIONS:
            return np.array(True)
        strands = self.tracks[output].strand
        return np.ones(len(strands), bool) if strand is None else (strands == strand) | (strands == ".")


def without_change(matrix: ScoreMatrix) -> ScoreMatrix:
    """Return the matrix with scores of 0 and no positions: compiled code may round two equal terms differently."""
    nowhere = None if matrix.positions is None else np.full_like(matrix.positions, -1)
    values = np.where(np.isnan(matrix.values), matrix.values, np.float32(0))
    return dataclasses.replace(matrix, values=values, positions=nowhere)


@functools.partial(jax.jit, static_argnames="scorer")
def _score(
    reference: Any,
    alternate: Any,
    masks: Mapping[str, Array],
    is_read: Bool[Array, "*tracks"],
    *,
    scorer: Scorer,
) -> tuple[Any, Bool[Array, ""]]:
    """Return the scores, and whether all signals that are read are finite."""
    leaves = jax.tree.leaves((reference, alternate))
    finite = jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf) | ~is_read) for leaf in leaves]))
    return scorer.score(reference, alternate, masks), finite
