"""Format, add and remove our fields in the INFO column of a record."""

import functools
import re
from collections.abc import Sequence

from vepscore.io.fields import DETAIL, FIELD_IDS, MISSING, STATUS, Field, format_float, value_fields
from vepscore.io.results import AlleleResult, Detail

_RESERVED = re.compile(r"[%;=,|\s\x00-\x1f\x7f-\x9f]")
_KEYS = frozenset(name.encode() for name in FIELD_IDS)


def encode(text: str) -> str:
    """Percent-encode the characters of `text` that separate values in a VCF, as in VCF 4.3."""
    return _RESERVED.sub(_percent, text)


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8"))


def format_info(alleles: Sequence[AlleleResult], *, ranked: bool = False) -> bytes:
    """Return the `KEY=value` pairs of all fields for the ALTs of one record, in order; with quantiles if `ranked`.

    VS is omitted if it has no entries, because `bcftools +split-vep` reads "." as an incomplete entry.
    """
    pairs = [f"{STATUS.id}={','.join([allele.status for allele in alleles])}"]
    if any(allele.fields for allele in alleles):
        pairs += [
            f"{field.id}={','.join(_value(field, allele) for allele in alleles)}"
            for field in value_fields(ranked=ranked)
        ]
    else:
        pairs += _without_values(len(alleles), ranked)
    entries = [_entry(allele.alt, detail) for allele in alleles for detail in allele.details]
    if entries:
        pairs.append(f"{DETAIL.id}={','.join(entries)}")
    return ";".join(pairs).encode("utf-8")


@functools.lru_cache(maxsize=4)  # small, because a record may have a million ALTs
def _without_values(alleles: int, ranked: bool) -> list[str]:
    nothing = ",".join([MISSING] * alleles)
    return [f"{field.id}={nothing}" for field in value_fields(ranked=ranked)]


def _value(field: Field, allele: AlleleResult) -> str:
    value = allele.fields.get(field.id)
    return (encode(value) or MISSING) if isinstance(value, str) else format_float(value)


def _entry(alt: str, detail: Detail) -> str:
    score = format_float(detail.score, missing="")
    texts = (alt, detail.scorer, detail.gene_id, detail.symbol, score, detail.track, detail.biosample, "")
    return "|".join(map(encode, texts))


def find_existing(info: bytes) -> list[str]:
    """Return our fields that a record's INFO already has."""
    if b"VS" not in info:
        return []
    keys = (pair.partition(b"=")[0] for pair in info.split(b";"))
    return [key.decode() for key in keys if key in _KEYS]


def strip_info(info: bytes) -> bytes:
    """Remove our fields from a record's INFO."""
    kept = [pair for pair in info.split(b";") if pair.partition(b"=")[0] not in _KEYS]
    return b";".join(kept) or MISSING.encode()


def append_info(info: bytes, added: bytes) -> bytes:
    """Append `added` to a record's INFO; it replaces "."."""
    if info in (b".", b""):
        return added
    return info + (b"" if info.endswith(b";") else b";") + added
