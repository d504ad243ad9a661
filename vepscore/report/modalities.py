"""What alleles can be ranked by: a field of the annotated VCF, and the scorers that it comes from."""

import dataclasses
from collections.abc import Mapping

from vepscore.errors import UsageError
from vepscore.io.fields import EVENTS_SCORER

JUNCTIONS_SCORER = "SPLICE_JUNCTIONS"

# Scorers whose tracks are of no tissue: they count whichever tissue is asked for.
WITHOUT_TISSUE = ("SPLICE_SITES", EVENTS_SCORER)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """One kind of effect."""

    name: str
    field: str  # INFO field with a value per ALT
    gene_field: str | None  # INFO field with that value's gene
    weights: Mapping[str, float]  # scorer → weight of its largest size in the value

    @property
    def is_composite(self) -> bool:
        """Whether the value is a sum over scorers, and so has no sign."""
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
    """The modality of that name, in any case.

    Raises:
        UsageError: there is none.
    """
    modality = MODALITIES.get(name.lower())
    if modality is None:
        raise UsageError(f"--by {name}\nexpected one of {', '.join(MODALITIES)}")
    return modality
