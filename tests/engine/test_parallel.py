"""Several devices return the scores of one. Simulated devices need a new process, so this is also a program."""

import dataclasses
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from tests.builders import WINDOW_BP, build_checkpoint, build_genome, vcf_row
from tests.engine.alleles import ROWS, prepare
from tests.scorers.cases import RESOLUTIONS
from vepscore.engine.parallel import AlleleScores, ParallelEngine, create_sparse_engine
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.engine.scoring import NotFiniteError
from vepscore.engine.sparse import SparseEngine
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.model.allele_plan import ReadyAllele
from vepscore.model.checkpoint import Checkpoint, load_checkpoint

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUNDING = 2e-4  # of float32, in a difference of two alleles; of a scorer's largest score
SCORERS = ["DNASE", "CHIP_TF", "CONTACT_MAPS"]  # one of each resolution
AFTER_TOWER = SCORERS[1:]  # those that read what the tower gives: the trunk and the pair representation
CENTRED = [
    *(ROWS[kind] for kind in ("SNV in two genes", "insertion", "deletion", "no gene", "first base")),
    vcf_row("chr1", 16_010, 1, "~", "~GG", "~GGA"),
    *(vcf_row("chr1", position, 1, "~") for position in (9_100, 9_200)),
]
CLUSTER = [vcf_row("chr1", position, 1, "~") for position in (9_300, 9_303, 9_440)]  # in one aligned window

Report = dict[str, Any]


@dataclasses.dataclass
class Recorder:
    """An engine that returns an allele's number in place of its matrices, and records the alleles."""

    batch: int = 1
    seen: list[list[int]] = dataclasses.field(default_factory=list)
    failing: frozenset[int] = frozenset()
    scorers: tuple = ()
    tracks: dict = dataclasses.field(default_factory=dict)
    meeting: threading.Barrier = dataclasses.field(default_factory=lambda: threading.Barrier(1))

    def score(self, alleles: Sequence[Any]) -> list[Any]:
        numbers = [allele.number for allele in alleles]
        self.seen.append(numbers)
        if self.failing & set(numbers):
            raise RuntimeError("poisoned")
        self.meeting.wait(timeout=10)
        return numbers


def stubs(windows: str) -> list[Any]:
    """Return an allele for each letter, which is its window."""
    codes = [np.frombuffer(window.encode(), np.uint8) for window in windows]
    return [SimpleNamespace(number=number, reference_codes=window) for number, window in enumerate(codes)]


def test_results_are_in_the_order_of_the_alleles() -> None:
    engines = [Recorder() for _ in range(3)]
    assert ParallelEngine(engines).score(stubs("abbcdeeefghij")) == list(range(13))
    pieces = [piece for engine in engines for piece in engine.seen]
    assert sorted(pieces) == [[0], [1, 2], [3], [4], [5, 6, 7], [8], [9], [10], [11], [12]]


def test_engines_work_at_the_same_time() -> None:
    """Each call waits until all engines are in one."""
    meeting = threading.Barrier(4)
    engines = [Recorder(meeting=meeting) for _ in range(4)]
    assert ParallelEngine(engines).score(stubs("abcd")) == [0, 1, 2, 3]
    assert [len(engine.seen) for engine in engines] == [1, 1, 1, 1]


@pytest.mark.parametrize(("own_batch", "expected"), [(1, 16), (3, 18), (20, 20)])
def test_batch_of_one_window_is_work_for_all(own_batch: int, expected: int) -> None:
    """Engines get chunks of whole batches."""
    engines = [Recorder(batch=own_batch) for _ in range(3)]
    parallel = ParallelEngine(engines)
    assert parallel.batch == 3 * expected
    parallel.score(stubs("a" * parallel.batch))
    assert [len(numbers) for engine in engines for numbers in engine.seen] == [expected] * 3


def test_failure_of_an_engine_reaches_the_caller() -> None:
    engines = [Recorder(failing=frozenset({5})) for _ in range(2)]
    with pytest.raises(RuntimeError, match="poisoned"):
        ParallelEngine(engines).score(stubs("abcdefgh"))


def test_allele_that_fails_is_a_result() -> None:
    failure = NotFiniteError("DNASE")
    engines = [Recorder(), Recorder()]
    for engine in engines:
        engine.score = lambda alleles: [failure if allele.number == 1 else [] for allele in alleles]
    assert ParallelEngine(engines).score(stubs("abc")) == [[], failure, []]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(2, marks=[pytest.mark.slow, pytest.mark.ci]),
        pytest.param(8, marks=pytest.mark.slow),
    ],
)
def devices(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def report(devices: int, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The measurements of `main`."""
    quickly_compiled = "--xla_backend_optimization_level=0"
    environment = {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} {quickly_compiled}",
        "JAX_PLATFORMS": "cpu",
        # Engines on one device share what is compiled.
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.engine.test_parallel"],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_windows_divided_give_the_bytes_of_one_engine(report: Report) -> None:
    windows = report["windows"]
    assert windows["different scores"] == windows["alleles"] == len(CENTRED) + 2 + len(CLUSTER)
    assert windows["equal"] == [True] * windows["alleles"]


def test_each_engine_worked_on_its_own_device(report: Report, devices: int) -> None:
    assert report["windows"]["devices"] == [[number] for number in range(devices)]
    assert min(report["windows"]["windows known"]) >= 1


def test_one_device_is_one_engine_there(report: Report, devices: int) -> None:
    assert report["one"] == {"kind": "SparseEngine", "devices": [devices - 1]}


def test_positions_divided_give_the_scores_of_one_device(report: Report, devices: int) -> None:
    divided = report["positions"]
    assert divided["towers"] == list(range(devices))
    assert divided["devices"] == [0]
    assert divided["error"] < ROUNDING


def main() -> None:
    """Score on all simulated devices, and print a `Report` as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        preparer = open_preparer(pathlib.Path(folder))
        checkpoint = load_checkpoint(build_checkpoint(pathlib.Path(folder)))
        aligned = dataclasses.replace(preparer, align_bp=2048)
        alleles = [*prepare(preparer, *CENTRED), *prepare(aligned, *CLUSTER)]
    scorers = load_scorers(SCORERS)
    expected = SparseEngine(checkpoint, scorers).score(alleles)
    report = {"windows": divide_windows(checkpoint, scorers, alleles, expected)}
    one = create_sparse_engine(checkpoint, scorers, devices=jax.devices()[-1:])
    report["one"] = {"kind": type(one).__name__, "devices": devices_of(one)}
    report["positions"] = divide_positions(checkpoint, alleles[:2], expected[:2])
    print(json.dumps(report))


def open_preparer(folder: pathlib.Path) -> AllelePreparer:
    genome = build_genome(folder)
    return AllelePreparer(
        resolutions=RESOLUTIONS,
        reference=Reference(genome.fasta, folder / "cache"),
        window_bp=WINDOW_BP,
        annotation=Annotation.from_gtf(genome.gtf, folder / "cache"),
        source="in.vcf",
    )


def divide_windows(
    checkpoint: Checkpoint,
    scorers: Sequence[Any],
    alleles: Sequence[ReadyAllele],
    expected: list[AlleleScores],
) -> Report:
    parallel = create_sparse_engine(checkpoint, scorers, devices=jax.devices())
    found = parallel.score(alleles)
    both = zip(map(bytes_of, found), map(bytes_of, expected), strict=True)
    return {
        "alleles": len(alleles),
        "different scores": len(set(map(bytes_of, expected))),
        "equal": [scores == alone for scores, alone in both],
        "devices": [devices_of(engine) for engine in parallel._engines],
        "windows known": [len(engine.predictor._references) for engine in parallel._engines],
    }


def divide_positions(
    checkpoint: Checkpoint, alleles: Sequence[ReadyAllele], expected: list[AlleleScores]
) -> Report:
    engine = create_sparse_engine(
        checkpoint, load_scorers(AFTER_TOWER), devices=jax.devices(), divides_positions=True
    )
    run_tower, towers = engine.predictor._tower._run, []

    def run(*args: Any) -> Any:
        towers.append(run_tower(*args))
        return towers[-1]

    engine.predictor._tower._run = run
    found = engine.score(alleles)
    errors = [distance(values_of(found, name), values_of(expected, name)) for name in AFTER_TOWER]
    return {"towers": device_numbers(towers), "devices": devices_of(engine), "error": max(errors)}


def values_of(results: list[AlleleScores], name: str) -> np.ndarray:
    """Return all scores of one scorer."""
    matrices = itertools.chain(*results)
    return np.concatenate([matrix.values.ravel() for matrix in matrices if matrix.scorer == name])


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference as a fraction of the largest score."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def bytes_of(matrices: Any) -> bytes:
    return b"".join(matrix.values.tobytes() for matrix in matrices)


def devices_of(engine: SparseEngine) -> list[int]:
    """Return the devices with an engine's parameters and cache, without those of a divided tower."""
    return device_numbers(
        list(arrays_of({**vars(engine), "predictor": {**vars(engine.predictor), "_tower": None}}))
    )


def arrays_of(tree: Any) -> Iterator[jax.Array]:
    """Yield all arrays in the engine and its parts."""
    for leaf in jax.tree.leaves(tree):
        if isinstance(leaf, jax.Array):
            yield leaf
        elif type(leaf).__module__.startswith("vepscore.engine"):
            yield from arrays_of(vars(leaf))


def device_numbers(tree: Any) -> list[int]:
    return sorted({device.id for array in jax.tree.leaves(tree) for device in array.devices()})


if __name__ == "__main__":
    main()
