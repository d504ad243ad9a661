"""`vepscore evaluate`: compare the scores of a VCF with labels or measured effects."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.cli.tables import print_table
from vepscore.errors import UsageError

if TYPE_CHECKING:
    from vepscore.evaluate.evaluation import Evaluation, EvaluationRow
    from vepscore.evaluate.truth import Effects, Labels

log = logging.getLogger(__name__)

_CLASSES = "--positive Pathogenic,Likely_pathogenic --negative Benign,Likely_benign"
_TRUTH, _STRATA, _BASELINES = "Truth", "Scores and strata", "Baselines"


def evaluate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SCORED",
            help="Output of `score`, or any .vcf, .vcf.gz or .bcf with scores; - for standard input.",
        ),
    ],
    reference: Annotated[
        Path, typer.Option("-r", "--reference", help="Reference FASTA, uncompressed or bgzipped.")
    ],
    genes: Annotated[
        Path,
        typer.Option(
            "-g", "--genes", help="Gene annotation: GENCODE, Ensembl or RefSeq GTF, plain or gzipped."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Table with a row for each metric and stratum: .tsv or .tsv.gz.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="INFO field with the class label, such as CLNSIG. Required without --effect.",
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            metavar="VALUES",
            help="Values of the label that are positive, separated by commas, in any case.",
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    negative: Annotated[
        str | None,
        typer.Option(
            metavar="VALUES",
            help="Values of the label that are negative, likewise.",
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    ignore: Annotated[
        str,
        typer.Option(
            metavar="VALUES",
            help="Values to ignore beside other values. Alleles with any other value are excluded.",
            rich_help_panel=_TRUTH,
        ),
    ] = "not_provided,other",
    effect: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="INFO field with a measured effect, a signed number; replaces --label.",
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            "-s",
            "--score",
            metavar="FIELD",
            help="INFO field with a score of any tool. May be repeated. Default: VS_SPLICE, if present.",
            rich_help_panel=_STRATA,
        ),
    ] = None,
    within: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="BP",
            help="Also evaluate alleles within this many bp of a splice site, with and without canonical sites.",
            rich_help_panel=_STRATA,
        ),
    ] = 50,
    chromosomes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Evaluate only alleles on these chromosomes, separated by commas. Default: all.",
            rich_help_panel=_STRATA,
        ),
    ] = None,
    bootstrap: Annotated[
        int,
        typer.Option(
            min=1, help="Number of bootstrap resamples for the 95% intervals.", rich_help_panel=_STRATA
        ),
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.", rich_help_panel=_STRATA)] = 0,
    pwm_exclude: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Chromosomes not to train the baseline pwm on. Default: those of the evaluated alleles.",
            rich_help_panel=_BASELINES,
        ),
    ] = None,
    pwm_fasta: Annotated[
        list[Path] | None,
        typer.Option(
            help="FASTA with more sequence to train pwm on; a contig may be a slice, chrom:start-end. May be repeated.",
            rich_help_panel=_BASELINES,
        ),
    ] = None,
) -> None:
    """Evaluate scores against labels (AUROC, AUPRC) or measured effects (Spearman correlation, sign accuracy).

    Two baselines are evaluated too: the distance from the nearest splice site, and position weight matrices (pwm).
    Each metric is given with its bootstrap interval, for all alleles and by location, SNVs and indels apart.
    """
    truth = _truth(label, positive, negative, ignore, effect)
    _check_output(output, [source, reference, genes, *(pwm_fasta or ())])

    from vepscore.evaluate.evaluation import EvaluationOptions
    from vepscore.evaluate.evaluation import evaluate as evaluate_scores

    evaluation = evaluate_scores(
        EvaluationOptions(
            source=source,
            reference=reference,
            genes=genes,
            truth=truth,
            scores=tuple(score) if score else None,
            chromosomes=_names(chromosomes) or (),
            within_bp=within,
            pwm_exclude=_names(pwm_exclude),
            pwm_fastas=tuple(pwm_fasta or ()),
            resamples=bootstrap,
            seed=seed,
        )
    )
    if output is not None:
        from vepscore.evaluate.evaluation import tsv_lines
        from vepscore.io.staged_writer import TextWriter
        from vepscore.io.suffixes import TSV_SUFFIXES

        with TextWriter(output, TSV_SUFFIXES) as writer:
            writer.write(f"{line}\n" for line in tsv_lines(evaluation))
    _print(evaluation)


def _truth(
    label: str | None, positive: str | None, negative: str | None, ignore: str, effect: str | None
) -> "Labels | Effects":
    from vepscore.evaluate.truth import Effects, Labels

    if effect is not None and label is None:
        if positive or negative:
            raise UsageError("--positive and --negative are for --label; --effect takes numbers")
        return Effects(field=effect)
    if label is None or effect is not None:
        raise UsageError(
            "expected one of --label and --effect" + (", found both" if label else ", found neither"),
            hint=f"--label CLNSIG {_CLASSES}",
        )
    if positive is None or negative is None:
        raise UsageError(f"--label {label} needs --positive and --negative", hint=_CLASSES)
    return Labels.parse(label, positive, negative, ignore)


def _check_output(output: Path | None, inputs: Sequence[str | Path]) -> None:
    """Raise UsageError if the table has another format, or would replace an input."""
    from vepscore.io.output_paths import check_output_paths
    from vepscore.io.streams import output_suffix
    from vepscore.io.suffixes import TSV_SUFFIXES

    if output is not None:
        output_suffix(output, TSV_SUFFIXES)
    check_output_paths(["-", output], inputs)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name for name in text.split(",") if name)


def _print(evaluation: "Evaluation") -> None:
    """Log the excluded alleles by reason, and print a narrow table.

    The part of a stratum that is empty, or equal to the stratum, is only in the table of `-o`.
    """
    from vepscore.evaluate.evaluation import distinct_rows

    read = evaluation.read
    log.info("%d of %d alternate alleles are evaluated", len(read.cases), read.alleles)
    for reason, count in read.excluded.items():
        log.info("%d excluded: %s", count, reason)
    columns = ("stratum", "metric", "predictor", "n", "pos", "value", "95% CI")
    print_table(columns, map(_cells, distinct_rows(evaluation)))


def _cells(row: "EvaluationRow") -> tuple[str, ...]:
    found = row.estimate
    positive = "" if row.positive is None else str(row.positive)
    if math.isnan(found.value):
        return row.stratum, row.metric, row.predictor, str(row.n), positive, "", ""
    interval = "" if math.isnan(found.low) else f"{found.low:.2f}..{found.high:.2f}"
    return row.stratum, row.metric, row.predictor, str(row.n), positive, f"{found.value:.3f}", interval
