"""Show the intended effect of the demo's variants beside their scores.

    python show.py FOLDER

Reads FOLDER/synthetic.vcf (EXPECT) and FOLDER/scored.tsv. The exit status is 1 if an effect does not score
higher than every control, or if a status is unexpected.
"""

import csv
import dataclasses
import math
import pathlib
import sys
from collections.abc import Sequence

import rich.console
import rich.table

CONTROL = "no_effect"
MODALITIES = ("VS_RNA", "VS_CAGE", "VS_DNASE", "VS_CONTACT")  # besides splicing
STATUS_PREFIX = "status_"
WIDTH = 120  # characters, if the output is not a terminal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One variant: expectation and scores."""

    id: str
    expect: str  # EXPECT of the VCF
    status: str  # VS_STATUS
    splice: float  # VS_SPLICE; NaN if missing
    site: float  # VS_SS; NaN if missing
    gene: str  # VS_SPLICE_GENE; "" if missing
    others: dict[str, float]  # by field of MODALITIES; NaN if missing

    @property
    def is_control(self) -> bool:
        return self.expect == CONTROL

    @property
    def expected_status(self) -> str:
        return self.expect.removeprefix(STATUS_PREFIX) if self.expect.startswith(STATUS_PREFIX) else "OK"

    @property
    def has_effect(self) -> bool:
        return self.expected_status == "OK" and not self.is_control


def read_expectations(path: pathlib.Path) -> dict[str, str]:
    """Return EXPECT by variant ID."""
    lines = path.read_text().splitlines()
    columns = [line.split("\t") for line in lines if not line.startswith("#")]
    return {column[2]: column[7].removeprefix("EXPECT=").split(";")[0] for column in columns}


def read_results(folder: pathlib.Path) -> list[Result]:
    expectations = read_expectations(folder / "synthetic.vcf")
    with open(folder / "scored.tsv", newline="") as lines:
        rows = list(csv.DictReader((line for line in lines if not line.startswith("##")), delimiter="\t"))
    return [
        Result(
            id=row["id"],
            expect=expectations[row["id"]],
            status=row["VS_STATUS"],
            splice=parse_score(row["VS_SPLICE"]),
            site=parse_score(row["VS_SS"]),
            gene=row["VS_SPLICE_GENE"],
            others={field: parse_score(row.get(field, "")) for field in MODALITIES},
        )
        for row in rows
    ]


def parse_score(text: str) -> float:
    return float(text) if text else math.nan


def strongest_control(results: Sequence[Result]) -> float:
    """Return the largest VS_SPLICE among the controls; a control without a score, outside genes, counts as zero."""
    return max((result.splice for result in results if result.is_control and result.splice > 0), default=0.0)


def judge(result: Result, limit: float) -> tuple[bool, str]:
    """Return whether the variant is as expected, and the verdict in words."""
    if result.status != result.expected_status:
        return False, f"expected {result.expected_status}"
    if result.has_effect:
        is_above = result.splice > limit
        return is_above, "above every control" if is_above else "NOT above every control"
    return True, "control" if result.is_control else "unscored, as expected"


def rank(result: Result) -> tuple[bool, bool, float]:
    """Return a sort key: effects, then controls, then the rest, each by descending score."""
    score = 0.0 if math.isnan(result.splice) else result.splice
    return not result.has_effect, not result.is_control, -score


def make_table(results: Sequence[Result], limit: float) -> rich.table.Table:
    """Return a table with a row per variant, in the order of `rank`."""
    table = rich.table.Table(title="SYNTHETIC demo: intended effect and scores of each variant")
    for name in ("variant", "expected", "VS_STATUS", "VS_SPLICE", "VS_SS", "gene", "verdict"):
        table.add_column(name, justify="right" if name in ("VS_SPLICE", "VS_SS") else "left")
    for result in sorted(results, key=rank):
        is_fine, verdict = judge(result, limit)
        scores = ("" if math.isnan(score) else f"{score:.4f}" for score in (result.splice, result.site))
        style = "bold" if result.has_effect else "dim"
        table.add_row(
            result.id,
            result.expect,
            result.status,
            *scores,
            result.gene,
            verdict if is_fine else f"[red]{verdict}[/red]",
            style=style,
        )
    return table


def describe_others(results: Sequence[Result]) -> str:
    """Return the largest value of each other modality, and its variant."""
    found = []
    for field in MODALITIES:
        scored = [result for result in results if not math.isnan(result.others[field])]
        if scored:
            largest = max(scored, key=lambda result: abs(result.others[field]))
            found.append(f"{field} {largest.others[field]:.4f} ({largest.id})")
    return ", ".join(found)


def main(folder: str) -> int:
    results = read_results(pathlib.Path(folder))
    limit = strongest_control(results)
    console = rich.console.Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(make_table(results, limit))
    misses = [result.id for result in results if not judge(result, limit)[0]]
    if misses:
        console.print(f"not as expected: {', '.join(misses)}")
        return 1
    if others := describe_others(results):
        console.print(f"largest of the other modalities: {others}")
    weakest = min(result.splice for result in results if result.has_effect)
    console.print(f"as expected: weakest effect {weakest:.4g}, strongest control {limit:.4g} (VS_SPLICE)")
    page = pathlib.Path(folder) / "report.html"
    if page.is_file():
        console.print(f"report with a picture of each variant, for a browser: {page}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: show.py FOLDER")
    sys.exit(main(sys.argv[1]))
