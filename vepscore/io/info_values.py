"""Read the values of INFO fields by ALT."""

import math

from vepscore.errors import InputError
from vepscore.io.fields import MISSING
from vepscore.io.header import VcfHeader
from vepscore.io.records import Record

_SHOWN = 60


class InfoValues:
    """Assigns the values of INFO fields to ALTs, by the header's `Number` of each field.

    A field with `Number=A` has one value per ALT, a field with `Number=R` also one for REF before them. For other
    fields, each value belongs to one ALT if there are as many values as ALTs; otherwise the whole text applies to all.

    Args:
        header: the VCF's header.
    """

    def __init__(self, header: VcfHeader) -> None:
        self._source = header.source
        self._numbers = {
            name: fields.get("Number", ".") for name, fields in header.definitions("INFO").items()
        }

    def declares(self, field: str) -> bool:
        """Return whether the header declares the field."""
        return field in self._numbers

    def read(self, record: Record) -> dict[str, str]:
        """Return the texts of a record's INFO by field; if a field occurs twice, the first one counts."""
        text = record.line.split(b"\t", 8)[7].decode("utf-8", "replace")
        fields: dict[str, str] = {}
        for pair in text.split(";"):
            key, _, value = pair.partition("=")
            fields.setdefault(key, value)
        return fields

    def texts(self, record: Record, info: dict[str, str], field: str) -> list[str]:
        """Return the field's text for each ALT; "." if there is none.

        Raises:
            InputError: the number of values contradicts the header.
        """
        text, alts = info.get(field) or MISSING, len(record.alts)
        if text == MISSING:
            return [MISSING] * alts
        values, number = text.split(","), self._numbers.get(field)
        offset = 1 if number == "R" else 0
        if number in ("A", "R") and len(values) != alts + offset:
            found = (
                f"{field} has {len(values)} values, expected {alts + offset} (Number={number} in the header)"
            )
            raise InputError(
                f"{self.where(record)}\n{found}",
                hint="check the file with `bcftools norm` or `bcftools view`",
            )
        return values[offset:] if len(values) == alts + offset else [text] * alts

    def numbers(self, record: Record, info: dict[str, str], field: str) -> list[float]:
        """Return the field's number for each ALT; NaN if there is none or if it is not finite.

        Raises:
            InputError: a value is not a number, or the number of values contradicts the header.
        """
        return [self._number(record, field, text) for text in self.texts(record, info, field)]

    def _number(self, record: Record, field: str, text: str) -> float:
        if text == MISSING:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            raise InputError(
                f"{self.where(record)}\n{field} is {text[:_SHOWN]!r}, expected a number or {MISSING!r}",
                hint="--label is for text, --effect and --score are for numbers",
            ) from None
        return value if math.isfinite(value) else math.nan

    def where(self, record: Record) -> str:
        """Return the file, record and alleles, for messages."""
        alleles = f"{record.ref}>{','.join(record.alts)}"
        return f"{self._source} record {record.index}, {record.chrom}:{record.pos1} {alleles[:_SHOWN]}"
