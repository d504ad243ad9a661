"""The engine: plan what scorers read, have a predictor run the network there, and score what is read."""

import collections
import functools
from collections.abc import Sequence

import jax
import numpy as np

from vepscore.contract import GeneSite, Scorer, WindowScorer
from vepscore.engine.scoring import AlleleScores, NotFiniteError, Scoring, without_change
from vepscore.engine.settings import fixed_settings
from vepscore.engine.signal_reading import Signals
from vepscore.model.allele_plan import AllelePlan, Group, ReadyAllele, plan_allele
from vepscore.model.checkpoint import Checkpoint
from vepscore.model.network import Network
from vepscore.model.predictor import Predictor, Reader, Readers

_CACHED_SIGNAL_BYTES = 1 << 28  # limit of the reference signals kept in the cache


class ScoringEngine:
    """Scores alleles with one checkpoint.

    Args:
        checkpoint: the tracks.
        network: its network, on the device.
        predictor: runs the network.
        scorers: the scorers of the run.
        batch: number of alleles that it works on together.
        reverse: the predictor gives the network the windows' minus strand; scores are in coordinates of the plus
            strand.

    Raises:
        CheckpointError: `reverse`, and the tracks of an output that is read do not come in pairs of strands.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        network: Network,
        predictor: Predictor,
        scorers: Sequence[Scorer],
        *,
        batch: int,
        reverse: bool,
    ) -> None:
        self.scorers = network.replace_own(scorers)
        self.tracks = checkpoint.tracks
        self.batch = batch
        self.predictor = predictor
        self._precision, self._device = network.dtype.name, network.device
        self._of_positions = tuple(scorer for scorer in self.scorers if not isinstance(scorer, WindowScorer))
        self._scoring = Scoring(network, self.tracks, self._of_positions, reverse=reverse)
        # Signals of the last reference window, by outputs and positions; the last used is the last.
        self._window = b""
        self._signals: collections.OrderedDict[tuple, Signals] = collections.OrderedDict()

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        """Return the score matrices of each allele, in the order of the scorers."""
        with fixed_settings(self._precision, self._device):
            plans = [plan_allele(allele, self._of_positions) for allele in alleles]
            return [
                self._with_windows(self._score(plan, readers), plan.allele)
                for plan, readers in zip(plans, self.predictor.read(plans), strict=True)
            ]

    def clear_cache(self) -> None:
        """Forget what was computed for the windows scored so far; compiled programs and memory stay allocated."""
        self._signals.clear()
        self.predictor.clear_cache()

    def _score(self, plan: AllelePlan, readers: Readers) -> AlleleScores:
        if readers.keeps_reference:
            window = plan.allele.reference_codes.tobytes()
            if window != self._window:
                self._window = window
                self._signals.clear()
            predict = functools.partial(self._predict_reference, readers.reference)
        else:
            predict = functools.partial(self._scoring.predict, reader=readers.reference, alternate=False)
        return self._scoring.score(plan, readers.reference, readers.alternate, predict)

    def _with_windows(self, scores: AlleleScores, allele: ReadyAllele) -> AlleleScores:
        """Add the scores of the scorers that run a network themselves, in the order of all scorers."""
        if isinstance(scores, NotFiniteError) or len(self._of_positions) == len(self.scorers):
            return scores
        by_name = {matrix.scorer: matrix for matrix in scores}
        site = allele.site
        assert isinstance(site, GeneSite)  # others are refused where the scorers are selected
        for scorer in self.scorers:
            if isinstance(scorer, WindowScorer) and scorer.footprint(site) is not None:
                matrix = scorer.score_window(site, allele.reference_codes)
                if np.isinf(matrix.values).any():
                    return NotFiniteError(f"{scorer.output}: the device returned numbers that are not finite")
                by_name[scorer.name] = without_change(matrix) if allele.changes_nothing else matrix
        return [by_name[scorer.name] for scorer in self.scorers if scorer.name in by_name]

    def _predict_reference(self, reader: Reader, group: Group) -> Signals:
        """Return the reference's signals of a group, from the cache if the last variant read them too."""
        # Scorers of one strand may have read NaN on the other.
        strands = tuple(request.footprint.strand for request in group.requests)
        known, key = self._signals, (group.outputs, strands, group.positions.reference.tobytes())
        if key not in known:
            known[key] = self._scoring.predict(group, reader, alternate=False)
        known.move_to_end(key)
        while len(known) > 1 and sum(leaf.nbytes for leaf in jax.tree.leaves(known)) > _CACHED_SIGNAL_BYTES:
            known.popitem(last=False)
        return known[key]
