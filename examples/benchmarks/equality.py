"""Compare the scores of the sparse engine with those of the dense one: every scorer, on variants of all kinds."""

import collections
import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from examples.benchmarks.cases import KINDS, Places
from examples.benchmarks.inputs import Inputs
from examples.benchmarks.report import Row
from examples.benchmarks.timing import check
from vepscore.contract import ScoreMatrix
from vepscore.engine.scored_records import score_records
from vepscore.genome.windows import UNKNOWN
from vepscore.io.records import Record
from vepscore.outputs import Output

MAX_DIFFERENCE = 1e-4  # as a fraction of the scale of a scorer's scores
_FROM_ENDS_BP = (3, 2_500)  # distance from the ends of the contig's known bases
_N_FRACTIONS = (0.4, 0.89)
_PROBABILITY_STEP = float(np.spacing(np.float16(0.5)))
_STEPS = 2  # float16 steps: both alleles are rounded


@dataclasses.dataclass
class Comparison:
    """The differences of one scorer, over all alleles so far."""

    rows: int = 0
    scale: float = 0.0  # largest score of the dense engine
    difference: float = 0.0  # largest difference
    worst: str = ""  # the case with that difference
    beyond: float = 0.0  # largest difference that rounding to float16 does not explain
    one_sided: int = 0  # junctions of only one engine

    def add(self, differences: np.ndarray, rounding: np.ndarray, name: str) -> None:
        """Add the differences (T,) of one row, and the part that rounding explains of each."""
        largest = float(differences.max(initial=0))
        if largest > self.difference:
            self.difference, self.worst = largest, name
        self.beyond = max(self.beyond, float((differences - rounding).max(initial=0)))

    @property
    def relative(self) -> float:
        """Largest difference that rounding does not explain, as a fraction of the scale."""
        return self.beyond / self.scale if self.scale else float(self.beyond > 0)


def cases(inputs: Inputs) -> dict[str, Record]:
    """Return name to record; the first ten have one of each kind, the last ten are indels."""
    places = Places(inputs)
    (outside, other_outside), (inside, other_inside) = (
        [record.pos1 - 1 for record in (*chosen, other)]
        for chosen, other in (places.isolated(1, in_gene=in_gene) for in_gene in KINDS.values())
    )
    known = np.flatnonzero(places.codes != UNKNOWN)
    (near, far), (first, last) = _FROM_ENDS_BP, (int(known[0]), int(known[-1]))
    mostly_n = _position_by_n_fraction(places, known)
    found = {
        "SNV outside genes": places.record(outside, 1, "~"),
        "SNV in a gene": places.record(inside, 1, "~"),
        "insertion in a gene": places.record(
            inside + 40, 1, places.bases(inside + 40, inside + 41) + "GATTACA"
        ),
        "deletion in a gene": _deletion(places, inside + 81, 13),
        "MNV": places.record(inside + 121, 3, "~~~"),
        "delins": places.record(inside + 161, 5, "~GTTC~ATG"),
        "several ALTs": places.record(inside + 201, 2, "~", "~~", "~GGCATTC~"),
        "SNV at the contig's start": places.record(first + near, 1, "~"),
        "deletion at the contig's end": _deletion(places, last - near - 2, 2),
        "half of the window N": places.record(mostly_n, 1, "~"),
        "insertion outside genes": places.record(other_outside, 1, "~" + "ACGT" * 30),
        "deletion outside genes": _deletion(places, other_outside + 301, 200),
        "insertion near the contig's start": places.record(first + far, 1, "~ACC"),
        "SNV near the contig's end": places.record(last - far, 1, "~"),
        "SNV in another gene": places.record(other_inside, 1, "~"),
        "long deletion in a gene": _deletion(places, other_inside + 5, 1_000),
    }
    return found | _indels(places, inside=other_inside, first=first, last=last)


def _indels(places: Places, *, inside: int, first: int, last: int) -> dict[str, Record]:
    """Return insertions and deletions of few and of many bases, in a gene and at both ends of the contig."""
    near, far = _FROM_ENDS_BP
    return {
        "1 bp insertion in a gene": places.record(
            inside + 41, 1, places.bases(inside + 41, inside + 42) + "~"
        ),
        "1 bp deletion in a gene": _deletion(places, inside + 85, 1),
        "delins that shortens": places.record(inside + 121, 9, "~GTT"),
        "long insertion in a gene": _insertion(places, inside + 161, 1_050),
        "insertion at the contig's start": _insertion(places, first + near, 7),
        "deletion at the contig's start": _deletion(places, first + near, 5),
        "insertion at the contig's end": _insertion(places, last - near, 7),
        "deletion near the contig's start": _deletion(places, first + far, 30),
        "insertion near the contig's end": _insertion(places, last - far, 140),
        "deletion near the contig's end": _deletion(places, last - far + 40, 300),
    }


def _insertion(places: Places, pos0: int, inserted_bp: int) -> Record:
    inserted = "GATTACA" * (inserted_bp // 7)
    return places.record(pos0, 1, places.bases(pos0, pos0 + 1) + inserted)


def _deletion(places: Places, pos0: int, deleted_bp: int) -> Record:
    return places.record(pos0, 1 + deleted_bp, places.bases(pos0, pos0 + 1))


def _position_by_n_fraction(places: Places, known: np.ndarray) -> int:
    """Return the known base with most N in its window, of those that are certainly scored."""
    low, high = _N_FRACTIONS
    fractions = {int(pos0): places.n_fraction(int(pos0)) for pos0 in known[::500]}
    fitting = {pos0: each for pos0, each in fractions.items() if low <= each <= high}
    if not fitting:
        raise SystemExit(
            f"no window of {places.chrom} has {low} to {high} N: choose another --window or --chrom"
        )
    return max(fitting, key=fitting.get)


def compare(inputs: Inputs, records: dict[str, Record], *, align_bp: int) -> tuple[list[Row], bool]:
    """Return a row for each scorer, and whether all are within the tolerance.

    Args:
        inputs: the data.
        records: name to case.
        align_bp: grid of the windows' starts.
    """
    preparer = inputs.preparer(align_bp)
    engines = [inputs.open_engine(kind) for kind in ("sparse", "dense")]
    found: dict[str, Comparison] = collections.defaultdict(Comparison)
    for name, record in records.items():
        sparse, dense = (
            check(*itertools.chain.from_iterable(score_records([record], preparer, engine)))
            for engine in engines
        )
        print(f"compared: {name}, {record.chrom}:{record.pos1}", flush=True)
        for of_sparse, of_dense in zip(sparse.alleles, dense.alleles, strict=True):
            _compare_matrices(of_sparse.matrices, of_dense.matrices, name, found)
    rows = [
        {"scorer": scorer, **dataclasses.asdict(each), "relative": each.relative}
        for scorer, each in found.items()
    ]
    return rows, all(each.relative <= MAX_DIFFERENCE for each in found.values())


def _compare_matrices(
    sparse: Sequence[ScoreMatrix],
    dense: Sequence[ScoreMatrix],
    name: str,
    found: dict[str, Comparison],
) -> None:
    for matrix, expected in zip(sparse, dense, strict=True):
        if matrix.scorer != expected.scorer:
            raise SystemExit(
                f"{name}: the sparse engine has {matrix.scorer}, the dense one {expected.scorer}"
            )
        comparison = found[matrix.scorer]
        known, wanted = _rows(matrix), _rows(expected)
        comparison.rows += len(wanted)
        comparison.one_sided += len(known.keys() ^ wanted.keys())
        largest = (float(np.nanmax(np.abs(row), initial=0)) for row in wanted.values())
        comparison.scale = max(comparison.scale, *largest, 0.0)
        for key in known.keys() & wanted.keys():
            differences = _differences(known[key], wanted[key])
            larger = np.maximum(np.abs(known[key]), np.abs(wanted[key]))
            comparison.add(differences, _rounding(matrix.output, np.nan_to_num(larger)), name)


def _rows(matrix: ScoreMatrix) -> dict[tuple, np.ndarray]:
    """Return a matrix's rows by gene, junction and label, float64 (T,); the first of rows with one name."""
    rows: dict[tuple, np.ndarray] = {}
    for index, (gene, values) in enumerate(zip(matrix.genes, matrix.values, strict=True)):
        place = () if gene is None else (gene.gene_id, gene.chrom, gene.start0)
        junction = () if matrix.junctions is None else tuple(map(int, matrix.junctions[index]))
        label = () if matrix.labels is None else (matrix.labels[index],)
        rows.setdefault((*place, *junction, *label), values.astype(np.float64))
    return rows


def _differences(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return differences: 0 where both are NaN, infinite where one is."""
    differences = np.abs(found - expected)
    undefined = np.isnan(found), np.isnan(expected)
    differences[undefined[0] & undefined[1]] = 0
    differences[undefined[0] ^ undefined[1]] = np.inf
    return differences


def _rounding(output: Output, values: np.ndarray) -> np.ndarray | float:
    """Return by how much scores of an output that is rounded to float16 may differ."""
    if output is Output.SPLICE_JUNCTIONS:
        return _STEPS * np.spacing(values.astype(np.float16)).astype(np.float64)
    return _STEPS * _PROBABILITY_STEP if output is Output.SPLICE_SITE_USAGE else 0.0
