"""The function `vepscore.rank` of the Python API."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vepscore.report.ranking import RankingOptions
from vepscore.report.ranking import rank as rank_alleles
from vepscore.report.ranking_table import ranking_frame

if TYPE_CHECKING:
    import pandas as pd


def rank(
    scored: "str | os.PathLike[str] | pd.DataFrame",
    *,
    by: str = "splice",
    genes: str | os.PathLike[str] | None = None,
    gene: Sequence[str] = (),
    region: Sequence[str] = (),
    max_af: str | None = None,
    sample: str | None = None,
    tissue: str | None = None,
    top: int | None = None,
) -> "pd.DataFrame":
    """Rank scored variants by predicted effect: what `vepscore rank` does.

    Args:
        scored: what `Model.score` returned, with all its rows; several such tables may be concatenated. Or a file that
            `Model.score_vcf` wrote: an annotated VCF, or Parquet.
        by: splice, rna, atac, dnase, chip_tf, chip_histone, cage, procap, contact or polya.
        genes: GTF, to name the splice event of each variant.
        gene: names or IDs of genes, or files of them; only their scores count. Empty: all.
        region: only variants in these regions, such as "chr1:1,000-2,000". Empty: all.
        max_af: such as "AF=0.001": only variants with at most this in an INFO field, or without it. VCF only.
        sample: only variants that this sample carries. VCF only.
        tissue: only tracks of this biosample or ontology term. Not for a VCF.
        top: how many to return; None for all.

    Returns:
        One row per variant, strongest first: rank (from 1; null for variants that were not scored, which come last),
        chrom, pos (1-based), id, ref, alt, status, the score (named by `by`, such as VS_SPLICE), quantile, gene,
        gene_id, track, tissue, maxima, event, event_gene, event_in_words, record, alt_index.

    Raises:
        UsageError: an option is malformed or not for such a table.
        InputError: the file cannot be read, or lacks a column.

    Example:
        >>> vepscore.rank(model.score(["chr1:14200:C>A", "chr1:14201:A>T"]))["rank"].tolist()
        [1, 2]
    """
    source = os.fspath(scored) if isinstance(scored, str | os.PathLike) else _renumber(scored)
    options = RankingOptions(
        source=source,
        by=by,
        annotation=None if genes is None else Path(genes),
        genes=gene,
        regions=region,
        max_af=max_af,
        sample=sample,
        tissue=tissue,
        top=top,
    )
    return ranking_frame(rank_alleles(options))


def _renumber(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the frame with a number for each variant, since tables of several calls count from 0 each."""
    key = [name for name in ("record", "alt_index", "variant_id") if name in frame]
    return frame.assign(record=frame.groupby(key, sort=False, observed=True).ngroup(), alt_index=0)
