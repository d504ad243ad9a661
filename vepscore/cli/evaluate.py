"""`vepscore evaluate`: compare the scores of a VCF with labels or measured effects."""

import dataclasses
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from vepscore.cli.tables import print_table
from vepscore.errors import UsageError
from vepscore.options.option_spec import OptionGroup, option

if TYPE_CHECKING:
    from vepscore.evaluate.comparison import ComparisonRow
    from vepscore.evaluate.evaluation import Evaluation, EvaluationRow
    from vepscore.evaluate.truth import Effects, Labels

log = logging.getLogger(__name__)

_CLASSES = "--positive Pathogenic,Likely_pathogenic --negative Benign,Likely_benign"
_BASELINES = "Baselines"  # a panel of the help


@dataclasses.dataclass(frozen=True, kw_only=True)
class TruthOptions(OptionGroup):
    """What the scores are compared with."""

    panel: ClassVar[str] = "Truth"

    label: str | None = option(
        None, "INFO field with the class label, such as CLNSIG. Required without --effect.", metavar="FIELD"
    )
    positive: str | None = option(
        None, "Values of the label that are positive, separated by commas, in any case.", metavar="VALUES"
    )
    negative: str | None = option(None, "Values of the label that are negative, likewise.", metavar="VALUES")
    ignore: str = option(
        "not_provided,other",
        "Values to ignore beside other values. Alleles with any other value are excluded.",
        metavar="VALUES",
        shows_default=True,
    )
    effect: str | None = option(
        None, "INFO field with a measured effect, a signed number; replaces --label.", metavar="FIELD"
    )

    def parse(self) -> "Labels | Effects":
        """Return how the truth is read.

        Raises:
            UsageError: options are missing or conflict.
        """
        from vepscore.evaluate.truth import Effects, Labels

        if self.effect is not None and self.label is None:
            if self.positive or self.negative:
                raise UsageError("--positive and --negative are for --label; --effect takes numbers")
            return Effects(field=self.effect)
        if self.label is None or self.effect is not None:
            raise UsageError(
                "expected one of --label and --effect"
                + (", found both" if self.label else ", found neither"),
                hint=f"--label CLNSIG {_CLASSES}",
            )
        if self.positive is None or self.negative is None:
            raise UsageError(f"--label {self.label} needs --positive and --negative", hint=_CLASSES)
        return Labels.parse(self.label, self.positive, self.negative, self.ignore)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateOptions(OptionGroup):
    """Which scores of which alleles are evaluated, and how."""

    panel: ClassVar[str] = "Scores and strata"

    score: tuple[str, ...] | None = option(
        None,
        "INFO field with a score of any tool. May be repeated. Default: VS_SPLICE, if present.",
        "-s",
        metavar="FIELD",
    )
    within: int = option(
        50,
        "Also evaluate alleles within this many bp of a splice site, with and without canonical sites.",
        metavar="BP",
        minimum=1,
        shows_default=True,
    )
    chromosomes: str | None = option(
        None,
        "Evaluate only alleles on these chromosomes, separated by commas. Default: all.",
        metavar="NAMES",
    )
    bootstrap: int = option(
        1000, "Number of bootstrap resamples for the 95% intervals.", minimum=1, shows_default=True
    )
    seed: int = option(0, "Seed of the bootstrap.", minimum=0, shows_default=True)
    pwm_exclude: str | None = option(
        None,
        "Chromosomes not to train the baseline pwm on. Default: those of the evaluated alleles.",
        panel=_BASELINES,
        metavar="NAMES",
    )
    pwm_fasta: tuple[str, ...] | None = option(
        None,
        "FASTA with more sequence to train pwm on; a contig may be a slice, chrom:start-end. May be repeated.",
        panel=_BASELINES,
        metavar="PATH",
    )


def evaluate(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SCORED...",
            help="Output of `score`, or any .vcf, .vcf.gz or .bcf with scores; - for standard input. Several files are "
            "compared; then the truth is in the first VCF, and the others may be tables of `score --table`.",
        ),
    ],
    reference: Annotated[
        Path, typer.Option("-r", "--reference", help="Reference FASTA, uncompressed or bgzipped.")
    ],
    genes: Annotated[
        Path | None,
        typer.Option(
            "-g",
            "--genes",
            help="Gene annotation: GENCODE, Ensembl or RefSeq GTF, plain or gzipped. Required for one file.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Table with a row for each metric and stratum: .tsv or .tsv.gz."),
    ] = None,
    *,
    truth: TruthOptions,
    options: EvaluateOptions,
) -> None:
    """Evaluate scores against labels (AUROC, AUPRC) or measured effects (Spearman correlation, sign accuracy).

    Two baselines are evaluated too: the distance from the nearest splice site, and position weight matrices (pwm).
    Each metric is given with its bootstrap interval, for all alleles and by location, SNVs and indels apart.
    Several files are compared on the alleles that all of them score, by kind of variant, with the differences from the
    first file and their paired bootstrap intervals.
    """
    parsed = truth.parse()
    given = [path for path in (reference, genes, *(options.pwm_fasta or ())) if path is not None]
    _check_output(output, [*sources, *given])
    if len(sources) > 1:
        _compare_files(sources, reference, parsed, options, output)
        return
    if genes is None:
        raise UsageError("--genes is missing", hint="pass the gene annotation, which has the splice sites")

    from vepscore.evaluate.evaluation import EvaluationOptions
    from vepscore.evaluate.evaluation import evaluate as evaluate_scores

    evaluation = evaluate_scores(
        EvaluationOptions(
            source=sources[0],
            reference=reference,
            genes=genes,
            truth=parsed,
            scores=options.score,
            chromosomes=_names(options.chromosomes) or (),
            within_bp=options.within,
            pwm_exclude=_names(options.pwm_exclude),
            pwm_fastas=tuple(map(Path, options.pwm_fasta or ())),
            resamples=options.bootstrap,
            seed=options.seed,
        )
    )
    from vepscore.evaluate.evaluation import tsv_lines

    _write(output, tsv_lines(evaluation))
    _print(evaluation)


def _compare_files(
    sources: Sequence[str],
    reference: Path,
    truth: "Labels | Effects",
    options: EvaluateOptions,
    output: Path | None,
) -> None:
    """Compare scored files, and print and write the table."""
    if "-" in sources:
        raise UsageError("standard input cannot be compared", hint="pass files")
    if options.pwm_exclude is not None or options.pwm_fasta:
        raise UsageError("--pwm-exclude and --pwm-fasta are for one file: baselines are not compared")
    from vepscore.evaluate.comparison import ComparisonOptions, compare, comparison_lines

    comparison = compare(
        ComparisonOptions(
            sources=tuple(sources),
            reference=reference,
            truth=truth,
            scores=options.score,
            chromosomes=_names(options.chromosomes) or (),
            resamples=options.bootstrap,
            seed=options.seed,
        )
    )
    _write(output, comparison_lines(comparison))
    _log_alleles(comparison.compared, comparison.alleles, comparison.excluded)
    metrics = [cell for name in comparison.metrics for cell in (f"{name} (95% CI)", "difference (95% CI)")]
    columns = ("kind", "file", "score", "n", "pos", *metrics)
    print_table(columns, (_comparison_cells(row) for row in comparison.rows if row.n))


def _write(output: Path | None, lines: Iterable[str]) -> None:
    if output is not None:
        from vepscore.io.staged_writer import TextWriter
        from vepscore.io.suffixes import TSV_SUFFIXES

        with TextWriter(output, TSV_SUFFIXES) as writer:
            writer.write(f"{line}\n" for line in lines)


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
    _log_alleles(len(read.cases), read.alleles, read.excluded)
    columns = ("stratum", "metric", "predictor", "n", "pos", "value", "95% CI")
    print_table(columns, map(_cells, distinct_rows(evaluation)))


def _cells(row: "EvaluationRow") -> tuple[str, ...]:
    found = row.estimate
    positive = "" if row.positive is None else str(row.positive)
    if math.isnan(found.value):
        return row.stratum, row.metric, row.predictor, str(row.n), positive, "", ""
    interval = "" if math.isnan(found.low) else f"{found.low:.2f}..{found.high:.2f}"
    return row.stratum, row.metric, row.predictor, str(row.n), positive, f"{found.value:.3f}", interval


def _log_alleles(evaluated: int, alleles: int, excluded: Mapping[str, int]) -> None:
    log.info("%d of %d alternate alleles are evaluated", evaluated, alleles)
    for reason, count in excluded.items():
        log.info("%d excluded: %s", count, reason)


def _comparison_cells(row: "ComparisonRow") -> tuple[str, ...]:
    from vepscore.evaluate.comparison import interval_text

    positive = "" if row.positive is None else str(row.positive)
    metrics = [
        text
        for pair in row.metrics
        for text in (interval_text(pair.value), interval_text(pair.difference, "+.3f"))
    ]
    return str(row.kind), row.file, row.score, str(row.n), positive, *metrics
