"""Compare the sparse engine with the dense one: equality, speed, memory, start-up, profile and cost.

    python -m examples.benchmarks.engines MEASUREMENT --reference FASTA --genes GTF [options]

    equality   every scorer on variants of all kinds; exit status 1 where the engines differ by more than 1e-4
    speed      variants per minute and what the count of arithmetic allows, after the machine's own speed
    memory     peak resident size of `vepscore score` with one variant
    start      from the command to the first score; variants per minute after that
    profile    seconds per stage
    cost       seconds per variant against the number of variants and the width of the window
    indels     seconds of a 1 bp insertion or deletion against an SNV at the same place, with each anchor

The FASTA is in the genome's coordinates, if only for a few megabases of the contig that `--chrom` names. All scorers
that the checkpoint supports are run. Compilation is never part of a variant's time. With `--output`, tables are kept as
JSON and plots as SVG.
"""

import argparse
import itertools
from collections.abc import Callable

from examples.benchmarks.cases import KINDS
from examples.benchmarks.cost import cost_by_number, cost_by_width, cost_of_indels, profile
from examples.benchmarks.equality import cases, compare
from examples.benchmarks.inputs import ENGINES, Inputs, add_input_options
from examples.benchmarks.machine import measure_machine
from examples.benchmarks.processes import measure_memory, measure_start
from examples.benchmarks.report import plot, report
from examples.benchmarks.speed import measure_rates, measure_speed
from vepscore.genome.windows import parse_width


def main() -> None:
    """Make one measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.benchmarks.engines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(required=True, metavar="MEASUREMENT")
    for add in (_add_equality, _add_speed, _add_memory, _add_start, _add_profile, _add_cost, _add_indels):
        add(subparsers)
    options = parser.parse_args()
    options.measure(options)


def _subparser(
    subparsers: argparse._SubParsersAction, name: str, measure: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name)
    parser.set_defaults(measure=measure)
    add_input_options(parser)
    return parser


def _add_equality(subparsers: argparse._SubParsersAction) -> None:
    parser = _subparser(subparsers, "equality", _equality)
    parser.add_argument("--cases", type=int, help="use only the first N cases; ten cover every kind")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="TEXT", help="use only cases whose name contains TEXT"
    )
    parser.add_argument("--align", type=int, default=1, metavar="BP", help="grid of the window starts")


def _equality(options: argparse.Namespace) -> None:
    inputs = Inputs.from_options(options)
    first = itertools.islice(cases(inputs).items(), options.cases)
    records = {name: record for name, record in first if any(text in name for text in options.only)}
    rows, is_equal = compare(inputs, records, align_bp=options.align)
    report(f"equality {inputs.window_bp} {inputs.preparer().indel_anchor}", rows, options.output)
    raise SystemExit(0 if is_equal else 1)


def _add_speed(subparsers: argparse._SubParsersAction) -> None:
    parser = _subparser(subparsers, "speed", _speed)
    parser.add_argument(
        "--dense", type=int, default=2, metavar="N", help="number of variants for the dense engine"
    )
    _add_counts(parser)
    parser.add_argument(
        "--machine-window", type=parse_width, metavar="WIDTH", help="window of the timed pass"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="repeats of the machine's own speed"
    )


def _add_counts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--where", choices=KINDS, nargs="+", default=list(KINDS), help="positions of the variants"
    )
    parser.add_argument(
        "--isolated", type=int, default=4, metavar="N", help="number of variants of each kind"
    )
    parser.add_argument(
        "--clusters", type=int, default=1, metavar="N", help="number of positions of each kind"
    )
    parser.add_argument(
        "--sample", type=int, default=5, metavar="N", help="records timed after the first of a window"
    )


def _speed(options: argparse.Namespace) -> None:
    inputs = Inputs.from_options(options)
    machine = measure_machine(inputs, options.machine_window or inputs.window_bp, options.repeats)
    report("machine", list(machine), options.output)
    rows = measure_speed(
        inputs,
        options.where,
        dense=options.dense,
        isolated=options.isolated,
        clusters=options.clusters,
        sample=options.sample,
    )
    report(f"speed {inputs.window_bp}", rows, options.output)


def _add_memory(subparsers: argparse._SubParsersAction) -> None:
    parser = _subparser(subparsers, "memory", _memory)
    parser.add_argument("--engine", choices=ENGINES, nargs="+", default=["sparse"])


def _memory(options: argparse.Namespace) -> None:
    inputs = Inputs.from_options(options)
    rows = list(measure_memory(inputs, options.engine))
    report(f"memory {inputs.window_bp}", rows, options.output)


def _add_start(subparsers: argparse._SubParsersAction) -> None:
    parser = _subparser(subparsers, "start", _start)
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="repeats of the warm start")
    _add_counts(parser)


def _start(options: argparse.Namespace) -> None:
    inputs = Inputs.from_options(options)
    report(f"start {inputs.window_bp}", list(measure_start(inputs, options.repeats)), options.output)
    rows = measure_rates(inputs, options.where, options.isolated, options.clusters, options.sample)
    report(f"rates {inputs.window_bp}", list(rows), options.output)


def _add_profile(subparsers: argparse._SubParsersAction) -> None:
    parser = _subparser(subparsers, "profile", _profile)
    parser.add_argument("--engine", choices=ENGINES, default="sparse")
    parser.add_argument(
        "--isolated", type=int, default=3, metavar="N", help="number of variants of each kind"
    )


def _profile(options: argparse.Namespace) -> None:
    inputs = Inputs.from_options(options)
    for where, in_gene in KINDS.items():
        rows = profile(inputs, options.engine, options.isolated, in_gene=in_gene)
        report(f"profile {options.engine} {where} {inputs.window_bp}", rows, options.output)


def _add_cost(subparsers: argparse._SubParsersAction) -> None:
    parser = _subparser(subparsers, "cost", _cost)
    parser.add_argument(
        "--engine", choices=ENGINES, nargs="+", default=["sparse"], help="engines to measure at each width"
    )
    parser.add_argument("--widths", type=parse_width, nargs="+", required=True, metavar="WIDTH")
    parser.add_argument(
        "--isolated", type=int, default=2, metavar="N", help="number of variants of each kind"
    )
    parser.add_argument(
        "--sample", type=int, default=5, metavar="N", help="records timed after the first of a window"
    )


def _cost(options: argparse.Namespace) -> None:
    inputs = Inputs.from_options(options)
    by_number = cost_by_number(inputs, isolated=options.isolated, sample=options.sample)
    report(f"cost by number {inputs.window_bp}", by_number, options.output)
    by_width = list(cost_by_width(inputs, options.widths, options.engine, options.isolated))
    report("cost by width", by_width, options.output)
    if options.output is not None:
        folder = options.output
        plot(folder / "cost_by_number.svg", by_number, x="variants", y="s per variant", by="where")
        plot(folder / "cost_by_width.svg", by_width, x="window bp", y="s per variant", by="engine")


def _add_indels(subparsers: argparse._SubParsersAction) -> None:
    parser = _subparser(subparsers, "indels", _indels)
    parser.add_argument(
        "--isolated", type=int, default=2, metavar="N", help="number of positions of each kind"
    )
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="repeats at each position")


def _indels(options: argparse.Namespace) -> None:
    inputs = Inputs.from_options(options)
    rows = list(cost_of_indels(inputs, isolated=options.isolated, repeats=options.repeats))
    report(f"indels {inputs.window_bp}", rows, options.output)


if __name__ == "__main__":
    main()
