"""The table `[splicing]` of a recipe: how the splicing part of a compact network is trained."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from vepscore.networks.alphagenome.config import Fraction
from vepscore.networks.compact.compact_config import SpliceStackConfig
from vepscore.schema import CLOSED, Number, Whole, field_error
from vepscore.train.schedule import Count, LabelSchedule, Names, Text, Weight

LONGEST_INDEL_BP = 20

_PredictedBp = Annotated[int, Whole(256, 1 << 17)]
_Rate = Annotated[float, Number(above=0, most=1)]
_StageT = TypeVar("_StageT", bound="SpliceStage")


def _check_mining(schedule: LabelSchedule) -> LabelSchedule:
    """Return the schedule if it needs no hard negatives, which are found with a network of the other family."""
    if any(stage.mine_hard_negatives for stage in schedule.stages):
        raise ValueError("stages: mine_hard_negatives is not for this network")
    return schedule


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpliceStage:
    """Consecutive steps with windows of one width."""

    __pydantic_config__ = CLOSED

    steps: Count
    windows: Count  # per step
    window_bp: _PredictedBp  # predicted positions of a window, without what the network reads on either side
    # Fraction of the steps whose windows are pairs of a sequence and the same with changes.
    changed: Fraction = 0.0
    # The stack's first groups of blocks, which alone are trained; those of one dilation are a group. None: all.
    groups: Count | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpliceSampling:
    """Positions of windows, of which all other ones are uniform over the labeled chunks."""

    __pydantic_config__ = CLOSED

    sites: Fraction = (
        0.6  # fraction of windows that contain a site that the teachers see; sites are equally likely
    )
    genes: Fraction = 0.3  # fraction of windows in chunks with a gene on the strand

    def __post_init__(self) -> None:
        if self.sites + self.genes > 1:
            raise field_error("genes", self.genes, f"at most {1 - self.sites:g}, what sites leaves")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Changes of a window's sequence; those of no named place are uniform over the window."""

    __pydantic_config__ = CLOSED

    count: Annotated[int, Whole(1, 1_000)] = 12  # per window, less those that would be too close
    spacing_bp: Annotated[int, Whole(2 * LONGEST_INDEL_BP, 10_000)] = 60  # least distance between two changes
    sites: Fraction = 0.5  # fraction within 15 bp of a site that the teachers see
    branch_points: Fraction = 0.1  # fraction 15 to 50 bp before an acceptor
    exons: Fraction = 0.15  # fraction inside exons
    insertions: Fraction = 0.2  # half of them repeat the bases before them
    deletions: Fraction = 0.25  # other changes replace one base
    mean_indel_bp: Annotated[float, Number(least=1, most=LONGEST_INDEL_BP)] = 4.0
    # Fraction of the pairs of which both sequences have random bases replaced first, everywhere.
    mutated: Fraction = 0.0
    # Fraction of the bases that are replaced, drawn between these two; its logarithm is uniform.
    mutation_rates: tuple[_Rate, _Rate] = (0.003, 0.1)
    # Fraction of the pairs whose sequence is one window's and another's in turn, before bases are replaced.
    joined: Fraction = 0.0
    # Mean length of what comes from one of the two.
    mean_piece_bp: Annotated[float, Number(least=100, most=100_000)] = 2_000.0

    def __post_init__(self) -> None:
        for names in (("sites", "branch_points", "exons"), ("insertions", "deletions")):
            if (total := sum(getattr(self, name) for name in names)) > 1:
                raise field_error(" + ".join(names), total, "at most 1")
        lowest, highest = self.mutation_rates
        if lowest > highest:
            raise field_error("mutation_rates[0]", lowest, f"at most {highest:g}, the other rate")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Labeling:
    """Which chunks of the training sequence the teachers label, and by how many of their networks."""

    __pydantic_config__ = CLOSED

    chunk_bp: _PredictedBp = 32_768
    genes: Fraction = 1.0  # fraction of the chunks with a gene on the strand
    elsewhere: Fraction = 0.2  # fraction of the other chunks
    more: Fraction = 0.1  # fraction of the chunks of `more_sequence`
    networks: Count | None = None  # of each teacher, drawn for each chunk; None: all


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpliceWeights:
    """Weights of the losses."""

    __pydantic_config__ = CLOSED

    sites: Weight = 1.0  # probabilities of sites
    changes: Weight = 1.0  # differences between a sequence and the same with changes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Splicing:
    """The training of the stack of convolutions and its heads."""

    __pydantic_config__ = CLOSED

    network: SpliceStackConfig
    # Checkpoints whose predictions of splice sites are the targets: names, or directories in the data directory or
    # elsewhere. The recipe's author checks that their licenses allow it.
    teachers: Names
    stages: Annotated[tuple[SpliceStage, ...], Field(min_length=1)]
    # Checkpoint of this family whose splicing is trained further, found as teachers are. None: random parameters.
    start: Text | None = None
    # FASTA files in the data directory with more sequence to label, such as that of other mammals, which has no
    # annotation. A file that is not there is not used.
    more_sequence: tuple[Text, ...] = ()
    # Chromosomes that are not trained on, by which recipes are compared; those of `data.test` are not either.
    held_out: tuple[Text, ...] = ()
    # Learning rate of Muon, and of NAdam for what Muon does not train, after warm-up and before cosine decay.
    peak_rate: Annotated[float, Number(above=0)]
    warmup: Annotated[float, Number(least=0, below=1)] = 0.03  # fraction of the steps
    weight_decay: Weight = 0.01
    # Decay of the moving average of the parameters, which is the result.
    average_decay: Annotated[float, Number(least=0, below=1)] = 0.998
    weights: SpliceWeights = SpliceWeights()
    sampling: SpliceSampling = SpliceSampling()
    labeling: Labeling = Labeling()
    changes: Changes = Changes()
    # The heads of usage and junctions, on annotated transcripts; the stack is no longer changed.
    junctions: Annotated[LabelSchedule, AfterValidator(_check_mining)]

    def __post_init__(self) -> None:
        if self.network.tissues != 1:
            raise field_error("network.tissues", self.network.tissues, "1, as in the annotation")
        for number, stage in enumerate(self.stages):
            if stage.window_bp > self.labeling.chunk_bp:
                words = f"at most labeling.chunk_bp, {self.labeling.chunk_bp}"
                raise field_error(f"stages[{number}].window_bp", stage.window_bp, words)
            if stage.groups and stage.groups > self.network.groups:
                words = f"at most the {self.network.groups} dilations that follow each other"
                raise field_error(f"stages[{number}].groups", stage.groups, words)

    @property
    def steps(self) -> int:
        """Number of steps of the stack's stages."""
        return sum(stage.steps for stage in self.stages)

    def shortened(self, fraction: float) -> "Splicing":
        """Return the table with a fraction of the steps and of the labeled chunks."""
        labeling = dataclasses.replace(
            self.labeling,
            genes=self.labeling.genes * fraction,
            elsewhere=self.labeling.elsewhere * fraction,
            more=self.labeling.more * fraction,
        )
        return dataclasses.replace(
            self,
            stages=_shorten(self.stages, fraction),
            labeling=labeling,
            junctions=self.junctions.shortened(fraction),
        )


def _shorten(stages: Sequence[_StageT], fraction: float) -> tuple[_StageT, ...]:
    return tuple(dataclasses.replace(stage, steps=max(1, round(stage.steps * fraction))) for stage in stages)
