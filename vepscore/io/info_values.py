"""What a record's INFO says of each of its ALTs."""

import math

from vepscore.errors import InputError
from vepscore.io.fields import MISSING
from vepscore.io.header import VcfHeader
from vepscore.io.records import Record

_SHOWN = 60


class InfoValues:
    """Splits the values of INFO fields among ALTs, by what the header says of each field.

    A field of `Number=A` has a value per ALT, one of `Number=R` one for REF before them. Any other field has a value
    per ALT where there are as many values as ALTs; else the whole text holds for each ALT.

    Args:
        header: the VCF's header.
    """

    def __init__(self, header: VcfHeader) -> None:
        self._source = header.source
        self._numbers = {
            name: fields.get("Number", ".") for name, fields in header.definitions("INFO").items()
        }

    def declares(self, field: str) -> bool:
        """Whether the header has the field."""
        return field in self._numbers

    def read(self, record: Record) -> dict[str, str]:
        """Field to text of a record's INFO; of a field that stands there twice, the first."""
        text = record.line.split(b"\t", 8)[7].decode("utf-8", "replace")
        fields: dict[str, str] = {}
        for pair in text.split(";"):
            key, _, value = pair.partition("=")
            fields.setdefault(key, value)
        return fields

    def texts(self, record: Record, info: dict[str, str], field: str) -> list[str]:
        """The field's text for each ALT; "." where there is none.

        Raises:
            InputError: the number of values is not what the header says.
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
                f"{self._where(record)}\n{found}",
                hint="check the file with `bcftools norm` or `bcftools view`",
            )
        return values[offset:] if len(values) == alts + offset else [text] * alts

    def numbers(self, record: Record, info: dict[str, str], field: str) -> list[float]:
        """The field's number for each ALT; NaN where there is none, or where it is not finite.

        Raises:
            InputError: a value is no number, or there are more or fewer than the header says.
        """
        return [self._number(record, field, text) for text in self.texts(record, info, field)]

    def _number(self, record: Record, field: str, text: str) -> float:
        if text == MISSING:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            raise InputError(
                f"{self._where(record)}\n{field} is {text[:_SHOWN]!r}, expected a number or {MISSING!r}",
                hint="--label is for words, --effect and --score are for numbers",
            ) from None
        return value if math.isfinite(value) else math.nan

    def _where(self, record: Record) -> str:
        alleles = f"{record.ref}>{','.join(record.alts)}"
        return f"{self._source} record {record.index}, {record.chrom}:{record.pos1} {alleles[:_SHOWN]}"
