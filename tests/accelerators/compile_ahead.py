"""Compile all that a run compiles for a device that is not there, and print a table of it.

    python -m tests.accelerators.compile_ahead h100 --window 128kb -r GENOME.fa -g GENES.gtf --variant chr20:2817302:G>A

It needs the package of the target: `jax[cuda12]` or `jax[tpu]`. Nothing is run. Sizes are the compiler's; the memory of
the run is the most that is used at a time if each array is freed after its last use.
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COLUMNS = ("function", "calls", "TFLOP", "arguments, GB", "temporary, GB", "new results, GB")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of device."""

    platform: str  # of JAX
    package: str  # that compiles for it
    topology: str  # its name; of a GPU, the file of its description
    memory_gb: float
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)  # that the package needs


def _tpu(topology: str, accelerator: str, memory_gb: float) -> Target:
    environment = {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": accelerator,
        "TPU_WORKER_HOSTNAMES": "localhost",
    }
    return Target(
        platform="tpu", package="libtpu", topology=topology, memory_gb=memory_gb, environment=environment
    )


def _gpu(topology: str, memory_gb: float) -> Target:
    # Without the device there is nothing to try kernels on.
    environment = {"XLA_FLAGS": "--xla_gpu_autotune_level=0"}
    return Target(
        platform="cuda",
        package="jax_cuda12_plugin",
        topology=topology,
        memory_gb=memory_gb,
        environment=environment,
    )


TARGETS = {
    "v5e": _tpu("v5e:1x1", "v5litepod-1", 16),
    "v5p": _tpu("v5p:1x1x1", "v5p-8", 95),
    "v6e": _tpu("v6e:1x1", "v6e-1", 32),
    "a100": _gpu("a100.txtpb", 80),
    "h100": _gpu("h100.txtpb", 80),
}


def main() -> None:
    """Trace a run, compile its functions and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.accelerators.compile_ahead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", choices=list(TARGETS))
    parser.add_argument("--window", default="128kb", help="default: %(default)s")
    parser.add_argument("-r", "--reference", type=Path, required=True, help="FASTA")
    parser.add_argument("-g", "--genes", type=Path, required=True, help="GTF")
    parser.add_argument("--variant", required=True, help="such as chr20:2817302:G>A; scored alone")
    parser.add_argument("--json", type=Path, help="write the table to this file, too")
    options = parser.parse_args()
    target = TARGETS[options.target]
    os.environ.update(JAX_PLATFORMS="cpu", **target.environment)  # before JAX is imported
    found = compile_run(target, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def compile_run(target: Target, options: argparse.Namespace) -> dict[str, Any]:
    """Compile the functions of a run, print a row for each, and return all that is counted."""
    from tests.accelerators.traced_engine import published_network, trace_run

    device = describe_device(target)
    alleles, scorers = prepare_variant(options)
    run = trace_run(*published_network(), scorers, alleles, device)
    print_row(COLUMNS)
    print_row(["---"] * len(COLUMNS))
    rows, temporary = [], []
    for number, function in enumerate(run.functions):
        compiled = function.compile(device)
        memory, cost = compiled.memory_analysis(), compiled.cost_analysis() or {}
        temporary.append(memory.temp_size_in_bytes)
        values = (
            function.name,
            run.calls(number),
            cost.get("flops", 0) / 1e12,  # not counted for a GPU
            memory.argument_size_in_bytes / 1e9,
            memory.temp_size_in_bytes / 1e9,
            (memory.output_size_in_bytes - memory.alias_size_in_bytes) / 1e9,
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        print_row([f"{value:.3f}" if isinstance(value, float) else value for value in values])
    found = {
        "device": options.target,
        "window": options.window,
        "functions": rows,
        "calls of functions": len(run.called) - run.called.count(None),
        "calls of other operations, opening included": run.called.count(None),
        "memory of the run, GB": run.peak_bytes(temporary) / 1e9,
        "memory of the device, GB": target.memory_gb,
    }
    print()
    for name, value in found.items():
        if name != "functions":
            print(f"{name}: {value:.2f}" if isinstance(value, float) else f"{name}: {value}")
    return found


def describe_device(target: Target) -> Any:
    """Return the first device of a target, for which JAX can compile."""
    from jax.experimental import topologies

    if target.platform == "tpu":
        described = topologies.get_topology_desc(target.topology, platform="tpu")
    else:
        described = topologies.get_topology_desc(
            "gpu",
            platform="cuda",
            target_config=(HERE / target.topology).read_text(),
            topology="1x1x1",
        )
    return described.devices[0]


def prepare_variant(options: argparse.Namespace) -> tuple[list[Any], list[Any]]:
    """Return the variant in its window, and the scorers that run if there are genes."""
    from vepscore.engine.preparer import AllelePreparer
    from vepscore.engine.scorer_plugins import load_scorers
    from vepscore.genome.annotation import Annotation
    from vepscore.genome.cache import cache_dir
    from vepscore.genome.fasta import Reference
    from vepscore.genome.indel_anchor import IndelAnchor
    from vepscore.genome.regions import require_variant
    from vepscore.genome.windows import parse_width
    from vepscore.networks.alphagenome.config import ALPHAGENOME_HEADS, scored_resolution_bp

    preparer = AllelePreparer(
        reference=Reference(options.reference, cache_dir()),
        window_bp=parse_width(options.window),
        resolutions={output: scored_resolution_bp(output) for output in ALPHAGENOME_HEADS},
        annotation=Annotation.from_gtf(options.genes, cache_dir()),
        indel_anchor=IndelAnchor.BOTH,
    )
    allele = preparer.prepare_variant(require_variant(options.variant))
    return [allele], [scorer for scorer in load_scorers() if not scorer.needs_polya]


def print_row(values: Sequence[object]) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(map(str, values))} |", flush=True)


if __name__ == "__main__":
    main()
