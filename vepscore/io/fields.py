"""The INFO fields that are added to a VCF: their definitions, and how numbers are written in them."""

import dataclasses

MISSING = "."
COMPOSITE_FIELD, COMPOSITE_GENE_FIELD = "VS_SPLICE", "VS_SPLICE_GENE"
EVENTS_SCORER = "SPLICE_EVENTS"  # its entries in VS tell events and their positions


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One INFO field."""

    id: str  # the key in INFO
    type: str  # "Float" or "String"
    description: str  # without double quotes and backslashes
    number: str = "A"  # "A": one value per ALT; ".": any number

    @property
    def header_line(self) -> str:
        """The meta line that declares it."""
        return f'##INFO=<ID={self.id},Number={self.number},Type={self.type},Description="{self.description}">'


def _largest(what: str) -> str:
    return f"{what}, alternate against reference: signed, the largest in size over tracks"


STATUS = Field(
    "VS_STATUS",
    "String",
    "OK, or why the allele was not scored; NOT_APPLICABLE: no scorer of the run applies there",
)

# Fields with one value per ALT; their IDs are the keys of `AlleleResult.fields`.
VALUE_FIELDS = (
    Field(COMPOSITE_FIELD, "Float", "Composite splicing score: VS_SS + VS_SSU + VS_SJ / 5"),
    Field(COMPOSITE_GENE_FIELD, "String", "Gene of VS_SPLICE"),
    Field("VS_SS", "Float", "Splice sites: largest absolute change of probability within a gene"),
    Field("VS_SSU", "Float", "Splice site usage: largest absolute change within a gene, over tracks"),
    Field("VS_SJ", "Float", "Splice junctions: largest absolute log fold change within a gene, over tracks"),
    Field(
        "VS_RNA",
        "Float",
        "Gene expression: log fold change, signed, the largest in size over genes and tracks",
    ),
    Field("VS_RNA_GENE", "String", "Gene of VS_RNA"),
    Field("VS_ATAC", "Float", _largest("ATAC-seq signal: log2 fold change")),
    Field("VS_DNASE", "Float", _largest("DNase-seq signal: log2 fold change")),
    Field("VS_CHIP_TF", "Float", _largest("Transcription factor ChIP-seq: log2 fold change")),
    Field("VS_CHIP_HISTONE", "Float", _largest("Histone ChIP-seq: log2 fold change")),
    Field("VS_CAGE", "Float", _largest("CAGE signal: log2 fold change")),
    Field("VS_PROCAP", "Float", _largest("PRO-cap signal: log2 fold change")),
    Field(
        "VS_CONTACT",
        "Float",
        "Contact maps: mean absolute change in the variant's bin, the largest over tracks",
    ),
    Field(
        "VS_POLYA",
        "Float",
        "Polyadenylation: largest absolute log2 fold change of proximal against distal sites",
    ),
)

# The last part is always empty: `bcftools +split-vep` requires a part of that name.
DETAIL = Field(
    id="VS",
    type="String",
    number=".",
    description="Scores by allele, scorer and gene, of the track largest in size; splice events by kind and place. "
    "Format: ALLELE|SCORER|GENE_ID|SYMBOL|SCORE|TRACK|BIOSAMPLE|Consequence",
)

FIELDS = (STATUS, *VALUE_FIELDS, DETAIL)

# Fields of runs with background quantiles, by the ID of the field that each ranks.
QUANTILE_FIELDS = {
    field.id: Field(
        id=f"{field.id}_Q",
        type="Float",
        description=f"Quantile of {field.id} in the background: 0 to 1, or -1 to 1 where {field.id} is signed",
    )
    for field in VALUE_FIELDS
    if field.type == "Float"
}
RANKED_VALUE_FIELDS = (*VALUE_FIELDS, *QUANTILE_FIELDS.values())

FIELD_IDS = frozenset(field.id for field in (STATUS, *RANKED_VALUE_FIELDS, DETAIL))
VALUE_FIELD_IDS = frozenset(field.id for field in RANKED_VALUE_FIELDS)


def value_fields(*, ranked: bool) -> tuple[Field, ...]:
    """Return the fields with one value per ALT in their order; if ranked, those of quantiles come last."""
    return RANKED_VALUE_FIELDS if ranked else VALUE_FIELDS


def format_float(value: float | None, missing: str = MISSING) -> str:
    """Return six significant digits, as many as a 32-bit float holds; `missing` for None and NaN."""
    if value is None or value != value:
        return missing
    return f"{value + 0.0:.6g}"  # + 0.0 turns minus zero into zero
