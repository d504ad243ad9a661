"""The INFO fields that are added to a VCF: their definitions and how values are written in them."""

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vepscore.io.results import AlleleResult, Detail

MISSING = "."
_RESERVED = re.compile(r"[%;=,|\s\x00-\x1f\x7f-\x9f]")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
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


STATUS = Field(id="VS_STATUS", type="String", description="Whether the allele was scored, and if not, why")

# One value per ALT each; the keys of `AlleleResult.fields`.
VALUE_FIELDS = (
    Field(
        id="VS_SPLICE",
        type="Float",
        description="Composite splicing score: VS_SS + VS_SSU + VS_SJ / 5",
    ),
    Field(id="VS_SPLICE_GENE", type="String", description="Gene of VS_SPLICE"),
    Field(
        id="VS_SS",
        type="Float",
        description="Splice sites: largest absolute change of probability within a gene",
    ),
    Field(
        id="VS_SSU",
        type="Float",
        description="Splice site usage: largest absolute change within a gene, over tracks",
    ),
    Field(
        id="VS_SJ",
        type="Float",
        description="Splice junctions: largest absolute log fold change within a gene, over tracks",
    ),
    Field(
        id="VS_RNA",
        type="Float",
        description="Gene expression: log fold change, signed, the largest in size over genes and tracks",
    ),
    Field(id="VS_RNA_GENE", type="String", description="Gene of VS_RNA"),
    Field(id="VS_ATAC", type="Float", description=_largest("ATAC-seq signal: log2 fold change")),
    Field(id="VS_DNASE", type="Float", description=_largest("DNase-seq signal: log2 fold change")),
    Field(
        id="VS_CHIP_TF", type="Float", description=_largest("Transcription factor ChIP-seq: log2 fold change")
    ),
    Field(id="VS_CHIP_HISTONE", type="Float", description=_largest("Histone ChIP-seq: log2 fold change")),
    Field(id="VS_CAGE", type="Float", description=_largest("CAGE signal: log2 fold change")),
    Field(id="VS_PROCAP", type="Float", description=_largest("PRO-cap signal: log2 fold change")),
    Field(
        id="VS_CONTACT",
        type="Float",
        description="Contact maps: mean absolute change in the variant's bin, the largest over tracks",
    ),
    Field(
        id="VS_POLYA",
        type="Float",
        description="Polyadenylation: largest absolute log2 fold change of proximal against distal sites",
    ),
)

# The last part is always empty: `bcftools +split-vep` reads no field without a part of that name.
DETAIL = Field(
    id="VS",
    type="String",
    number=".",
    description="Scores by allele, scorer and gene, each of the track largest in size. "
    "Format: ALLELE|SCORER|GENE_ID|SYMBOL|SCORE|TRACK|BIOSAMPLE|Consequence",
)

FIELDS = (STATUS, *VALUE_FIELDS, DETAIL)
FIELD_IDS = frozenset(field.id for field in FIELDS)
VALUE_FIELD_IDS = frozenset(field.id for field in VALUE_FIELDS)
_KEYS = frozenset(name.encode() for name in FIELD_IDS)


def format_float(value: float | None, missing: str = MISSING) -> str:
    """Six significant digits, as many as a 32-bit float holds; `missing` for None and NaN."""
    if value is None or value != value:
        return missing
    return f"{value + 0.0:.6g}"  # + 0.0 turns minus zero into zero


def encode(text: str) -> str:
    """`text` with what separates values in a VCF percent-encoded, as VCF 4.3 does it."""
    return _RESERVED.sub(_percent, text)


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8"))


def format_info(alleles: Sequence["AlleleResult"]) -> bytes:
    """`KEY=value` pairs of all fields, in their order, for the ALTs of one record.

    VS is left out where it has no entries, because `bcftools +split-vep` takes "." for an incomplete one.
    """
    pairs = [f"{STATUS.id}={','.join(allele.status for allele in alleles)}"]
    pairs += [f"{field.id}={','.join(_value(field, allele) for allele in alleles)}" for field in VALUE_FIELDS]
    entries = [_entry(allele.alt, detail) for allele in alleles for detail in allele.details]
    if entries:
        pairs.append(f"{DETAIL.id}={','.join(entries)}")
    return ";".join(pairs).encode("utf-8")


def _value(field: Field, allele: "AlleleResult") -> str:
    value = allele.fields.get(field.id)
    if field.type == "Float":
        return format_float(value)
    return encode(value or "") or MISSING


def _entry(alt: str, detail: "Detail") -> str:
    score = format_float(detail.score, missing="")
    texts = (alt, detail.scorer, detail.gene_id, detail.symbol, score, detail.track, detail.biosample, "")
    return "|".join(map(encode, texts))


def find_existing(info: bytes) -> list[str]:
    """Which of our fields a record's INFO holds already."""
    if b"VS" not in info:
        return []
    keys = (pair.partition(b"=")[0] for pair in info.split(b";"))
    return [key.decode() for key in keys if key in _KEYS]


def strip_info(info: bytes) -> bytes:
    """A record's INFO without our fields."""
    kept = [pair for pair in info.split(b";") if pair.partition(b"=")[0] not in _KEYS]
    return b";".join(kept) or MISSING.encode()


def append_info(info: bytes, added: bytes) -> bytes:
    """A record's INFO with `added` at its end; "." gives way to it."""
    if info in (b".", b""):
        return added
    return info + (b"" if info.endswith(b";") else b";") + added
