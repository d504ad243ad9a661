"""Compares a long table of `vepscore score` with the official scores, row by row, and prints what differs by scorer.

    python -m tests.cli.score_parity OFFICIAL.parquet VARIANTS.tsv SCORED.parquet

VARIANTS.tsv names the variants that OFFICIAL.parquet has scores of. Only the variants that were scored are compared.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

KEY = ["variant", "scorer", "gene_id", "junction_start", "junction_end", "track"]
JUNCTION = KEY[:5]
PLACE = ["chrom", "pos", "ref", "alt"]

ABSOLUTE, RELATIVE = 2e-4, 1e-3  # a score may differ by the larger of the two
STEPS = 2  # of float16, for scores that are rounded to it
ROUNDING = 1e-5  # of float32, in the logarithms before such a score is rounded
NOT_OFFICIAL = ("SPLICE_EVENTS",)  # scorers of this package alone
JUNCTIONS, USAGE = "SPLICE_JUNCTIONS", "SPLICE_SITE_USAGE"


def read_official(path: Path) -> pd.DataFrame:
    """Columns KEY and `score`; rows without a number are left out."""
    table = pd.read_parquet(path).rename(columns={"raw_score": "score"})
    return _with_plain_keys(table.dropna(subset="score"))


def read_scored(path: Path, variants: pd.DataFrame) -> pd.DataFrame:
    """The same of a long table's official scorers. `variants` has the columns `variant` and PLACE."""
    renamed = {"variant_scorer": "scorer", "junction_Start": "junction_start", "junction_End": "junction_end"}
    renamed |= {"track_index": "track", "raw_score": "score"}
    columns = ["record", *PLACE, "gene_id", *renamed]
    table = pd.read_parquet(path, columns=columns).rename(columns=renamed)
    table = table[~table["scorer"].isin(NOT_OFFICIAL)]
    alleles = table.drop_duplicates("record").astype({"chrom": str, "ref": str, "alt": str})
    alleles = alleles.merge(variants, on=PLACE, validate="one_to_one").set_index("record")
    return _with_plain_keys(table.assign(variant=table["record"].map(alleles["variant"])))


def compare(official: pd.DataFrame, scored: pd.DataFrame) -> pd.DataFrame:
    """Every row of either table once, with what is to be said of it.

    Columns: KEY; `official` and `scored`, NaN where a table lacks the row; `difference`, and `share`, what it is of
    the tolerance; `outside`, when it is more; `missing` and `extra`; `tied`, for a row that would be one of these but
    for a tie.
    """
    rows = official.rename(columns={"score": "official"}).merge(
        scored.rename(columns={"score": "scored"}), on=KEY, how="outer", validate="one_to_one"
    )
    rows["difference"] = (rows["scored"] - rows["official"]).abs()
    rows["share"] = rows["difference"] / _tolerance(rows)
    rows["outside"] = rows["share"] > 1
    unpaired = rows["difference"].isna()
    rows["tied"] = unpaired & _are_tied(rows)
    rows["missing"] = rows["scored"].isna() & ~rows["tied"]
    rows["extra"] = rows["official"].isna() & ~rows["tied"]
    return rows


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """By scorer: the number of official rows, how many differ, and by how much at most."""
    return rows.groupby("scorer").agg(
        rows=("official", "count"),
        missing=("missing", "sum"),
        extra=("extra", "sum"),
        tied=("tied", "sum"),
        outside=("outside", "sum"),
        largest_difference=("difference", "max"),
        share_of_tolerance=("share", "max"),
    )


def format_summary(summary: pd.DataFrame) -> str:
    """As a table of text, with a line for all scorers together."""
    counts = ["rows", "missing", "extra", "tied", "outside"]
    total = summary.max().to_frame("all").T.assign(**summary[counts].sum()).astype(dict.fromkeys(counts, int))
    return pd.concat([summary, total]).to_string(float_format="{:.1e}".format)


def _with_plain_keys(table: pd.DataFrame) -> pd.DataFrame:
    """Text without categories and "" for no gene; -1 for no junction."""
    texts = {column: table[column].astype(object).fillna("") for column in KEY[:3]}
    numbers = {column: table[column].astype("Int64").fillna(-1).astype(np.int64) for column in KEY[3:]}
    return table[["score"]].assign(**texts, **numbers)


def _tolerance(rows: pd.DataFrame) -> pd.Series:
    larger = rows[["official", "scored"]].abs().max(axis=1)
    tolerance = np.maximum(ABSOLUTE, RELATIVE * rows["official"].abs())
    tolerance = tolerance.mask(rows["scorer"] == JUNCTIONS, STEPS * _float16_step(larger) + ROUNDING)
    # A usage score is the difference of two probabilities, each rounded: the step is that of a probability.
    return tolerance.mask(rows["scorer"] == USAGE, STEPS * float(np.spacing(np.float16(0.5))))


def _are_tied(rows: pd.DataFrame) -> pd.Series:
    """Whether it is by rounding that a junction is in one table only: another is as large, within a float16 step.

    A gene's junctions are those that are the largest in some track. A junction that only one table has must be that
    too, and the other table must have a rival wherever it is.
    """
    junctions = rows[rows["scorer"] == JUNCTIONS]
    largest = junctions.groupby(["variant", "gene_id", "track"])[["official", "scored"]].transform("max")
    is_largest = (junctions[["official", "scored"]] == largest).any(axis=1)
    apart = (largest["official"] - largest["scored"]).abs()
    ties = apart <= _float16_step(largest.max(axis=1)) + ROUNDING
    by_junction = [junctions[column] for column in JUNCTION]
    unrivalled = (is_largest & ~ties).groupby(by_junction).transform("any")
    tied = is_largest.groupby(by_junction).transform("any") & ~unrivalled
    return tied.reindex(rows.index, fill_value=False)


def _float16_step(values: pd.Series) -> pd.Series:
    """The distance between neighbouring float16 numbers there; 2^-24 below the smallest normal one."""
    _, exponent = np.frexp(values.fillna(0))
    return np.ldexp(1.0, np.maximum(exponent - 11, -24))


def main() -> None:
    official, variants, scored = map(Path, sys.argv[1:])
    table = read_scored(scored, pd.read_csv(variants, sep="\t"))
    expected = read_official(official)
    rows = compare(expected[expected["variant"].isin(table["variant"].unique())], table)
    print(format_summary(summarize(rows)))


if __name__ == "__main__":
    main()
