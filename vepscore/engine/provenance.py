"""What a run was made with: the metadata that every output carries in its header."""

import shlex
from collections.abc import Sequence
from typing import Any

import vepscore
from vepscore.contract import Scorer, WindowScorer
from vepscore.engine.job import Job, resolve_defaults
from vepscore.engine.preparer import AllelePreparer
from vepscore.io.formats import OutputOptions
from vepscore.io.run_metadata import NamedFile, RunMetadata
from vepscore.model.checkpoint import Checkpoint
from vepscore.model.network import Network
from vepscore.options import LogOptions, SaturationOptions
from vepscore.options.option_spec import record_command
from vepscore.options.option_types import Strand


def describe_run(
    job: Job,
    preparer: AllelePreparer,
    checkpoint: Checkpoint,
    *,
    scorers: Sequence[Scorer],
    on_request: Sequence[str] = (),
    precision: str,
    rotary_dtype: str,
) -> RunMetadata:
    """Describe a run. The same run is described in the same way.

    `on_request` names scorers that could run and do not, since the checkpoint's defaults lack them.
    """
    groups = [*map(type, job.groups.values()), OutputOptions, SaturationOptions, LogOptions]
    return RunMetadata(
        version=vepscore.__version__,
        command=shlex.join(record_command(job.command, groups)),
        checkpoint=NamedFile(checkpoint.config.name, checkpoint.digest),
        **describe_files(job, preparer),
        organism=str(job.model.organism),
        window_bp=preparer.window_bp,
        align_bp=preparer.align_bp,
        strand=job.windows.strand.sign,
        on_ref_mismatch=str(preparer.on_mismatch),
        as_written=preparer.as_written,
        indel_anchor=preparer.indel_anchor,
        precision=precision,
        rotary=rotary_dtype,
        engine=str(job.compute.engine),
        scorers=tuple(scorer.name for scorer in scorers),
        scorers_not_run=tuple(on_request),
        **_describe_deltas(checkpoint.network, scorers),
        terms=checkpoint.config.terms_notice or "",
    )


def _describe_deltas(network: Network, scorers: Sequence[Scorer]) -> dict[str, Any]:
    """Return the fields of `RunMetadata` that tell how the network's own scorers of the run make delta scores."""
    own = [scorer for scorer in network.replace_own(scorers) if isinstance(scorer, WindowScorer)]
    if not own:
        return {}
    rules = network.delta_rules
    return {
        "delta_scores": f"distance {rules.distance_bp} bp, {'masked' if rules.masked else 'not masked'}",
        "entry_form": own[0].form,
    }


def describe_files(job: Job, preparer: AllelePreparer) -> dict[str, Any]:
    """Return the fields of `RunMetadata` that tell the reference and the annotation."""
    genome = job.genome
    files = {"reference": NamedFile(genome.reference.name, preparer.reference.digest())}
    if genome.genes is not None and preparer.annotation is not None:
        files["annotation"] = NamedFile(genome.genes.name, preparer.annotation.digest)
    if genome.polya is not None and preparer.polya is not None:
        files["polya"] = NamedFile(genome.polya.name, preparer.polya.digest)
    return files


def match_scores(job: Job, scores: RunMetadata | None) -> Job:
    """Return the job with the windows in which some scores were made, so that predictions match them.

    A grid that the windows cannot have becomes 1.

    Args:
        job: the options; a window that they name stays.
        scores: what the scores were made with; None where that is not known.
    """
    if scores is None:
        return job
    job = resolve_defaults(
        job.changed(
            window=job.windows.window or scores.window_bp,
            strand=Strand.MINUS if scores.strand == Strand.MINUS.sign else Strand.PLUS,
            as_written=scores.as_written,
            indel_anchor=scores.indel_anchor,
        )
    )
    return job.changed(align=scores.align_bp if 1 <= scores.align_bp <= job.window_bp // 4 else 1)
