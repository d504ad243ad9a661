"""Measure variants per minute of both engines, beside what the count of operations allows."""

import statistics
from collections.abc import Sequence

from examples.benchmarks.cases import KINDS, Places
from examples.benchmarks.inputs import Inputs
from examples.benchmarks.report import Row
from examples.benchmarks.timing import Cost, median, time_cluster, time_records, warm_up
from vepscore.engine.scoring import Engine
from vepscore.io.records import Record


def measure_speed(
    inputs: Inputs, kinds: Sequence[str], *, dense: int, isolated: int, clusters: int, sample: int
) -> list[Row]:
    """Return a row for the dense engine, and one for each arrangement of variants.

    Args:
        inputs: the data.
        kinds: where variants lie.
        dense: isolated variants that the dense engine scores.
        isolated: variants of each kind that the sparse engine scores.
        clusters: places of each kind with many variants.
        sample: variants of each window that are timed there beyond the first.
    """
    records, other = Places(inputs).isolated(dense, in_gene=True)
    baseline = measure_isolated(inputs.open_engine("dense"), inputs, records, other)
    rows = [_row("dense", baseline, None) | _against(baseline, baseline)]
    for name, (costs, exon_bp) in _measure_all(inputs, kinds, isolated, clusters, sample).items():
        rows.append(_row(name, costs, exon_bp) | _against(costs, baseline))
    return rows


def measure_rates(
    inputs: Inputs, kinds: Sequence[str], isolated: int, clusters: int, sample: int
) -> list[Row]:
    """Return the rows of the sparse engine."""
    measured = _measure_all(inputs, kinds, isolated, clusters, sample)
    return [_row(name, costs, exon_bp) for name, (costs, exon_bp) in measured.items()]


def _measure_all(
    inputs: Inputs, kinds: Sequence[str], isolated: int, clusters: int, sample: int
) -> dict[str, tuple[list[Cost], float]]:
    """Return, by arrangement, the cost of each variant and the median number of exonic bases around them."""
    engine, places = inputs.open_engine("sparse"), Places(inputs)
    found = {}
    for where in kinds:
        in_gene = KINDS[where]
        alone, other = places.isolated(isolated, in_gene=in_gene)
        costs = measure_isolated(engine, inputs, alone, other)
        found[f"isolated, {where}"] = costs, _median_exon_bp(places, alone)
        for name, choose in (
            ("100 within 20 kb", places.clusters),
            ("3 x 200 in one window", places.saturations),
        ):
            chosen, others = choose(clusters, in_gene=in_gene)
            costs = measure_together(engine, inputs, chosen, others, sample)
            middles = [group[len(group) // 2] for group in chosen]
            found[f"{name}, {where}"] = costs, _median_exon_bp(places, middles)
    return found


def _median_exon_bp(places: Places, records: Sequence[Record]) -> float:
    return statistics.median(places.exon_bp(record.pos1 - 1) for record in records)


def measure_isolated(engine: Engine, inputs: Inputs, records: Sequence[Record], other: Record) -> list[Cost]:
    """Return the cost of each variant, after another that is not timed."""
    warm_up(engine, inputs, [other])
    return time_records(engine, inputs, records)


def measure_together(
    engine: Engine, inputs: Inputs, groups: Sequence[Sequence[Record]], others: Sequence[Record], sample: int
) -> list[Cost]:
    """Return the cost of a variant in each group of records that share windows, after a warm-up elsewhere."""
    align_bp = inputs.sharing_align_bp
    warm_up(engine, inputs, others[:2], align_bp)
    return [time_cluster(engine, inputs, group, align_bp=align_bp, sample=sample) for group in groups]


def _row(name: str, costs: Sequence[Cost], exon_bp: float | None) -> Row:
    seconds, middle = [cost.seconds for cost in costs], median(costs)
    return {
        "variants": name,
        "samples": len(costs),
        "exon bp": exon_bp,
        "s per variant": middle.seconds,
        "fastest": min(seconds),
        "slowest": max(seconds),
        "per minute": 60 / middle.seconds,
        "TFLOP": middle.tflop,
        "GFLOP/s": 1000 * middle.tflop / middle.seconds,
    }


def _against(costs: Sequence[Cost], baseline: Sequence[Cost]) -> Row:
    middle, dense = median(costs), median(baseline)
    ratio, allowed = dense.seconds / middle.seconds, dense.tflop / middle.tflop
    return {"times dense": ratio, "count allows": allowed, "fraction reached": ratio / allowed}
