"""Modalities that alleles are ranked by: a field of the annotated VCF, and its scorers."""

import dataclasses
from collections.abc import Mapping

from vepscore.errors import UsageError
from vepscore.io.fields import EVENTS_SCORER

JUNCTIONS_SCORER = "SPLICE_JUNCTIONS"

# Scorers whose tracks have no tissue; they count whichever tissue is requested.
WITHOUT_TISSUE = ("SPLICE_SITES", EVENTS_SCORER)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """One kind of effect."""

    name: str
    field: str  # INFO field with a value per ALT
    gene_field: str | None  # INFO field with the gene of the value
    weights: Mapping[str, float]  # scorer → weight of its largest score in the value

    @property
    def is_composite(self) -> bool:
        """Whether the value is a sum over scorers, which has no sign."""
        return len(self.weights) > 1


def _plain(name: str, field: str, scorer: str, gene_field: str | None = None) -> Modality:
    return Modality(name=name, field=field, gene_field=gene_field, weights={scorer: 1.0})


MODALITIES = {
    modality.name: modality
    for modality in (
        Modality(
            name="splice",
            field="VS_SPLICE",
            gene_field="VS_SPLICE_GENE",
            weights={"SPLICE_SITES": 1.0, "SPLICE_SITE_USAGE": 1.0, JUNCTIONS_SCORER: 0.2},
        ),
        _plain("rna", "VS_RNA", "RNA_SEQ", "VS_RNA_GENE"),
        _plain("atac", "VS_ATAC", "ATAC"),
        _plain("dnase", "VS_DNASE", "DNASE"),
        _plain("chip_tf", "VS_CHIP_TF", "CHIP_TF"),
        _plain("chip_histone", "VS_CHIP_HISTONE", "CHIP_HISTONE"),
        _plain("cage", "VS_CAGE", "CAGE"),
        _plain("procap", "VS_PROCAP", "PROCAP"),
        _plain("contact", "VS_CONTACT", "CONTACT_MAPS"),
        _plain("polya", "VS_POLYA", "POLYADENYLATION"),
    )
}


def find_modality(name: str) -> Modality:
    """Return the modality of a name, in any case.

    Raises:
        UsageError: there is no such modality.
    """
    modality = MODALITIES.get(name.lower())
    if modality is None:
        raise UsageError(f"--by {name}\nexpected one of {', '.join(MODALITIES)}")
    return modality


# SNP activity differences, each of which has a scorer for each of these outputs.
_ACTIVITY_OUTPUTS = ("DNASE", "ATAC", "CHIP_TF", "CHIP_HISTONE", "CAGE")
_ACTIVITY_WORDS = {
    "SAD": "sum over the predicted bins, difference",
    "SAR": "log2 fold changes, summed over the predicted bins",
    "SADR": "sum over the predicted bins, log2 fold change",
    "SAX": "difference in the predicted bin where it is largest",
    "SAXR": "log2 fold change in the predicted bin where it is largest",
}
# Meaning of each scorer's numbers.
SCORER_WORDS = {
    "SPLICE_SITES": "largest change of a splice site probability in the gene",
    "SPLICE_SITE_USAGE": "largest change of a splice site usage in the gene",
    JUNCTIONS_SCORER: "absolute ln fold change of a junction count",
    EVENTS_SCORER: "splice site gained (+) or lost (−): change of its probability",
    "RNA_SEQ": "expression over the gene's exons, ln fold change",
    "ATAC": "open chromatin within 501 bp, log2 fold change",
    "DNASE": "open chromatin within 501 bp, log2 fold change",
    "CAGE": "transcription starts within 501 bp, log2 fold change",
    "PROCAP": "transcription starts within 501 bp, log2 fold change",
    "CHIP_TF": "bound transcription factor within 501 bp, log2 fold change",
    "CHIP_HISTONE": "histone mark within 2,001 bp, log2 fold change",
    "CONTACT_MAPS": "mean absolute change of the contacts of the variant's bin",
    "POLYADENYLATION": "balance of proximal and distal poly(A) sites, log2 fold change",
    **{
        f"{statistic}_{output}": words
        for statistic, words in _ACTIVITY_WORDS.items()
        for output in _ACTIVITY_OUTPUTS
    },
    "SED": "coverage of the gene's exons, difference",
    "LOG_SED": "coverage of the gene's exons, log2 fold change",
    "SED_D1": "differences of coverage in the gene's exons, sum of their sizes",
    "SED_LOG_D1": "log2 fold changes of coverage in the gene's exons, sum of their sizes",
    "SED_D2": "differences of coverage in the gene's exons, L2 norm",
    "SED_LOG_D2": "log2 fold changes of coverage in the gene's exons, L2 norm",
    "SED_ND2": "shape of coverage in the gene's exons, L2 norm of the change",
    "SED_NDI": "shape of coverage in the gene's exons, largest change",
    "SED_JS": "shape of coverage in the gene's exons, divergence",
}
ACTIVE_SUFFIX = "_ACTIVE"
ACTIVE_WORDS = "signal of the allele with the higher signal: activity of the region, not a change"


def describe_scorer(name: str) -> str:
    """Return the meaning of a scorer's numbers; "" for a scorer that is not built in."""
    return ACTIVE_WORDS if name.endswith(ACTIVE_SUFFIX) else SCORER_WORDS.get(name, "")
