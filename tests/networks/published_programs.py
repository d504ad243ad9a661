"""The published programs' scores in `expected/*.tsv`, and ours of the same alleles, from the published weights.

The weights are read from the folder that VEPSCORE_PUBLISHED_WEIGHTS names: the wheels `spliceai` and `cispliceai`, and
the files of OpenSpliceAI (openspliceai-mane, 10000nt) and Pangolin, anywhere in it.
"""

import csv
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vepscore.contract import GeneSite
from vepscore.engine.preparer import AllelePreparer, RefusedAllele
from vepscore.io.records import Record, open_records
from vepscore.model.network import DeltaRules, Network
from vepscore.networks.dilated.delta_scores import DeltaScorer
from vepscore.networks.dilated.strand_predictor import StrandPredictor, Stretch, Values

EXPECTED = Path(__file__).parent / "expected"
VARIABLE = "VEPSCORE_PUBLISHED_WEIGHTS"
NEAREST, FARTHEST = 50, 500  # the distances


class Program(NamedTuple):
    """A published program."""

    family: str
    weights: str  # pattern of a file in the folder of weights
    is_folder: bool = False  # its folder is imported


PROGRAMS = {
    "spliceai": Program("spliceai", "spliceai-1.3.1*.whl"),
    "openspliceai": Program("spliceai", "openspliceai-mane/10000nt/model_10000nt_rs10.pt", is_folder=True),
    "cispliceai": Program("spliceai", "cispliceai-1.2.2*.whl"),
    "pangolin": Program("pangolin", "final.1.0.3.v2", is_folder=True),
}


def find_weights(program: str) -> Path:
    """Return the published weights; skip the test if they are absent."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"needs the published weights in the folder that {VARIABLE} names")
    found = sorted(Path(folder).rglob(PROGRAMS[program].weights))
    if not found:
        pytest.skip(f"needs {PROGRAMS[program].weights} in {folder}, which is absent there")
    return found[0].parent if PROGRAMS[program].is_folder else found[0]


class Setting(NamedTuple):
    distance_bp: int
    is_masked: bool


SETTINGS = [Setting(distance_bp, mask) for distance_bp in (FARTHEST, NEAREST) for mask in (False, True)]


@dataclasses.dataclass(frozen=True)
class Expected:
    """The entries of a program by variant and setting, each the cells of a row by column; none where it skips."""

    rows: dict[tuple[str, Setting], list[dict[str, str]]]

    @classmethod
    def read(cls, program: str) -> "Expected":
        rows: dict[tuple[str, Setting], list[dict[str, str]]] = {}
        with (EXPECTED / f"{program}.tsv").open() as file:
            for row in csv.DictReader(file, delimiter="\t"):
                key = row["variant"], Setting(int(row["distance"]), row["mask"] == "1")
                rows.setdefault(key, []).extend([] if "." in row.values() else [row])
        return cls(rows)


class SharedPredictor(StrandPredictor):
    """Predicts each sequence once, over the farthest distance; what it is shorter for is read in its middle."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self._known: dict[Any, tuple[Values, Values]] = {}

    def predict(self, stretch: Stretch) -> tuple[Values, Values]:
        if (key := _key(stretch)) in self._known:
            return self._known[key]
        values = super().predict(stretch)
        cut = FARTHEST - NEAREST
        inner = stretch._replace(
            reference=stretch.reference[cut:-cut],
            alternate=stretch.alternate[cut:-cut],
            first0=stretch.first0 + cut,
            start=stretch.start - cut,
        )
        if len(self._known) > 8:
            self._known.clear()
        self._known[key] = values
        reference, alternate = (array[cut:-cut] for array in values)
        self._known[_key(inner)] = reference, alternate
        return values


def _key(stretch: Stretch) -> tuple[Any, ...]:
    return stretch.reference.tobytes(), stretch.alternate.tobytes(), *stretch[2:]


def score_all(
    network: Network, preparer: AllelePreparer, settings: Sequence[Setting], names: set[str] | None = None
) -> Iterator[tuple[str, Setting, list[str], str]]:
    """Yield the entries of each variant, and why it has none."""
    predictor = SharedPredictor(network)
    scorers = {}
    for setting in settings:
        network.delta_rules = DeltaRules(distance_bp=setting.distance_bp, masked=setting.is_masked)
        (scorer,) = network.own_scorers()
        assert isinstance(scorer, DeltaScorer)
        scorer._predictor = predictor
        scorers[setting] = scorer
    with open_records(EXPECTED / "variants.vcf") as records:
        for record in records:
            if names is None or record.id in names:
                for setting, scorer in scorers.items():
                    yield record.id, setting, *_score(scorer, preparer, record)


def _score(scorer: DeltaScorer, preparer: AllelePreparer, record: Record) -> tuple[list[str], str]:
    (allele,) = dataclasses.replace(preparer, scorers=(scorer,)).prepare(record)
    if isinstance(allele, RefusedAllele):
        return [], f"{allele.status}: {allele.reason}"
    assert isinstance(allele.site, GeneSite)
    return list(scorer.score_window(allele.site, allele.reference_codes).entries), ""


def cells_of(entry: str) -> dict[str, str]:
    """Return an entry by the columns of the tables."""
    parts = entry.split("|")
    if parts[-1] == "Warnings:":
        (gain_position, gain), (loss_position, loss) = (part.split(":") for part in parts[1:3])
        cells = [parts[0], gain, loss, gain_position, loss_position]
        names = ["gene", "gain", "loss", "gain_position", "loss_position"]
    else:
        cells = parts[1:]
        kinds = ("AG", "AL", "DG", "DL")
        names = ["gene", *(f"DS_{kind}" for kind in kinds), *(f"DP_{kind}" for kind in kinds)]
    return dict(zip(names, cells, strict=True))
