"""Profile the time of a variant, and measure its growth with the window and fall with the number of variants."""

import contextlib
import dataclasses
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from examples.benchmarks.cases import CLUSTER_VARIANTS, KINDS, Places
from examples.benchmarks.inputs import Inputs
from examples.benchmarks.report import Row
from examples.benchmarks.timing import check, median, time_cluster, time_records, warm_up
from examples.benchmarks.watch import Stages, compile_clock, watched
from vepscore.engine.preparer import AllelePreparer, PreparedAllele
from vepscore.engine.scored_records import score_records
from vepscore.engine.scoring import Engine
from vepscore.engine.sparse import SparseEngine
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.io.header import VcfHeader
from vepscore.io.long_table import LongTableWriter
from vepscore.io.records import Record
from vepscore.io.vcf import AnnotatedVcfWriter

_READING, _WRITING = "reading, meanwhile", "writing"
_NUMBERS = (1, 10, CLUSTER_VARIANTS)
_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


@dataclasses.dataclass(frozen=True)
class TimedPreparer:
    """A preparer whose time is measured; it works in parallel with the device."""

    preparer: AllelePreparer
    stages: Stages

    def prepare(self, record: Record) -> Iterator[PreparedAllele]:
        """Prepare as the preparer does."""
        started = time.perf_counter()
        alleles = list(self.preparer.prepare(record))
        self.stages.seconds[_READING] += time.perf_counter() - started
        return iter(alleles)


def profile(inputs: Inputs, kind: str, count: int, *, in_gene: bool) -> list[Row]:
    """Return the seconds of each stage, averaged over isolated variants, with all outputs written."""
    engine = inputs.open_engine(kind)
    records, other = Places(inputs).isolated(count, in_gene=in_gene)
    warm_up(engine, inputs, [other])
    with watched(engine, inputs, timed=True) as stages, tempfile.TemporaryDirectory() as folder:
        started = time.time()
        _run(engine, inputs, records, stages, Path(folder))
        total = compile_clock().seconds_of_work(started, time.time())
    stages.seconds["the rest"] = total - stages.seconds.total() + stages.seconds[_READING]
    return [
        {
            "stage": stage,
            "s per variant": seconds / len(records),
            "fraction": seconds / total,
            "TFLOP": stages.flop[stage] / 1e12 / len(records),
            "GFLOP/s": stages.flop[stage] / 1e9 / seconds if seconds else 0.0,
        }
        for stage, seconds in stages.seconds.items()
    ]


def _run(engine: Engine, inputs: Inputs, records: Sequence[Record], stages: Stages, folder: Path) -> None:
    header = VcfHeader(meta=("##fileformat=VCFv4.2",), columns=_COLUMNS)
    header = header.with_annotation(provenance={}, contigs=inputs.data.reference.contigs)
    preparer = TimedPreparer(inputs.preparer(), stages)
    with (
        LongTableWriter(str(folder / "scores.parquet"), engine.tracks, {}) as table,
        AnnotatedVcfWriter(folder / "scores.vcf.gz", header) as vcf,
    ):
        for result in itertools.chain.from_iterable(score_records(records, preparer, engine)):
            with _timed(stages):
                for writer in (table, vcf):
                    writer.write(check(result))
        with _timed(stages):
            for writer in (table, vcf):
                writer.finish()


@contextlib.contextmanager
def _timed(stages: Stages) -> Iterator[None]:
    started = time.perf_counter()
    yield
    stages.seconds[_WRITING] += time.perf_counter() - started


def cost_by_number(inputs: Inputs, *, isolated: int, sample: int) -> list[Row]:
    """Return seconds per variant outside genes by the number of variants; a few isolated ones stand for all."""
    engine, places = inputs.open_engine("sparse"), Places(inputs)
    alone, other = places.isolated(isolated, in_gene=False)
    warm_up(engine, inputs, [other])
    seconds = median(time_records(engine, inputs, alone)).seconds
    rows = [_number_row("isolated", number, seconds) for number in _NUMBERS]
    (cluster,), others = places.clusters(1, in_gene=False)
    for number in _NUMBERS:
        engine = inputs.open_engine("sparse")  # nothing cached
        warm_up(engine, inputs, others[:2], inputs.sharing_align_bp)
        chosen = cluster[:: CLUSTER_VARIANTS // number]
        cost = time_cluster(engine, inputs, chosen, align_bp=inputs.sharing_align_bp, sample=sample)
        rows.append(_number_row("within 20 kb", number, cost.seconds))
    return rows


def _number_row(where: str, number: int, seconds: float) -> Row:
    return {"where": where, "variants": number, "s per variant": seconds, "s in all": number * seconds}


def cost_by_width(
    inputs: Inputs, widths: Sequence[int], kinds: Sequence[str], isolated: int
) -> Iterator[Row]:
    """Return seconds per isolated variant at several widths, by engine."""
    for kind, window_bp in itertools.product(kinds, widths):
        sized = dataclasses.replace(inputs, window_bp=window_bp)
        engine, places = sized.open_engine(kind), Places(sized)
        for where, in_gene in KINDS.items():
            timed, other = places.isolated(isolated, in_gene=in_gene)
            warm_up(engine, sized, [other])
            cost = median(time_records(engine, sized, timed))
            yield {
                "engine": f"{kind}, {where}",
                "window bp": window_bp,
                "s per variant": cost.seconds,
                "TFLOP": cost.tflop,
            }


def cost_of_indels(inputs: Inputs, *, isolated: int, repeats: int) -> Iterator[Row]:
    """Measure 1 bp insertions and deletions against an SNV at the same place, each as if it were the only variant.

    The SNV is timed in each round, between the indels, so that the ratios hold on a busy machine too.
    """
    engine, places = inputs.open_engine("sparse"), Places(inputs)
    anchored = {anchor: dataclasses.replace(inputs, indel_anchor=anchor).preparer() for anchor in IndelAnchor}
    for where, in_gene in KINDS.items():
        chosen, other = places.isolated(isolated, in_gene=in_gene)
        _time_quartet(engine, places, anchored, other)  # compiles
        rounds = [
            _time_quartet(engine, places, anchored, record) for _ in range(repeats) for record in chosen
        ]
        for name in rounds[0]:
            ratios = [seconds[name] / seconds["SNV"] for seconds in rounds]
            yield {
                "variant": f"{name}, {where}",
                "rounds": len(rounds),
                "s per variant": statistics.median(seconds[name] for seconds in rounds),
                "times the SNV": statistics.median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
            }


def _time_quartet(
    engine: SparseEngine, places: Places, anchored: Mapping[IndelAnchor, AllelePreparer], snv: Record
) -> dict[str, float]:
    """Return the seconds of an SNV and of the indels at its place, by name."""
    pos0 = snv.pos1 - 1
    bases = places.bases(pos0, pos0 + 2)
    indels = {
        "1 bp deletion": places.record(pos0, 2, bases[0]),
        "1 bp insertion": places.record(pos0, 1, f"{bases[0]}~"),
    }
    seconds = {"SNV": _time_alone(engine, anchored[IndelAnchor.LEFT], snv)}
    for (anchor, preparer), (name, record) in itertools.product(anchored.items(), indels.items()):
        seconds[f"{name}, {anchor}"] = _time_alone(engine, preparer, record)
    return seconds


def _time_alone(engine: SparseEngine, preparer: AllelePreparer, record: Record) -> float:
    """Return the seconds of a record for an engine that has scored nothing near it."""
    engine.clear_cache()
    started = time.time()
    for result in itertools.chain.from_iterable(score_records([record], preparer, engine)):
        check(result)
    return compile_clock().seconds_of_work(started, time.time())
