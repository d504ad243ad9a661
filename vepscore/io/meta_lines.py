"""The structured meta lines of a VCF header, `##KIND=<KEY=value,KEY="quoted value",…>`, read as htslib reads them.

Source: `bcf_hdr_parse_line` of htslib (vcf.c).
"""

import re

_KEY = re.compile(r" *([A-Za-z_][0-9A-Za-z_.]*) *= *")
_PLAIN = re.compile(r"[^,<>]*")
_ESCAPED = re.compile(r"\\(.)")
_ENDS = {'"': '"', "[": "]"}  # of a value that may hold commas and angle brackets, by its first character


def parse_meta_line(line: str, kind: str) -> dict[str, str] | None:
    """Return the keys and values of a structured line of one kind, such as INFO or contig.

    Keys may come in any order, with spaces around keys, values and commas. Quoted values are given without their quotes
    and backslashes; they may hold commas and `>`. Of a key that is given twice, the first value counts. A line without
    its closing `>` is read as far as it goes.

    Returns:
        None where the line is of another kind or htslib skips it.
    """
    start = f"##{kind}=<"
    if not line.startswith(start):
        return None
    fields: dict[str, str] = {}
    place = len(start)
    while True:
        key = _KEY.match(line, place)
        if key is None:
            return None
        value, place = _read_value(line, key.end())
        fields.setdefault(key[1], value)
        if line[place : place + 1] != ",":
            return fields if line[place : place + 1] in ("", ">") else None
        place += 1


def _read_value(line: str, start: int) -> tuple[str, int]:
    """Return the value that starts there, and the index of the character after it."""
    end = _ENDS.get(line[start : start + 1])
    if end is not None:
        place = _end_of_quoted(line, start + 1, end)
        return _ESCAPED.sub(r"\1", line[start + 1 : place]).rstrip(" "), place + 1
    place = _end_of_plain(line, start)
    return line[start:place].rstrip(" "), place


def _end_of_quoted(line: str, start: int, end: str) -> int:
    """Return the index of the closing character that no backslash escapes, or the line's length."""
    place = start
    while place < len(line) and line[place] != end:
        place += 2 if line[place] == "\\" else 1
    return min(place, len(line))


def _end_of_plain(line: str, start: int) -> int:
    """Return the index of the comma or `>` that ends a value; angle brackets within it come in pairs."""
    place, depth = _PLAIN.match(line, start).end(), 0
    while place < len(line) and (depth or line[place] not in ",>"):
        depth += (line[place] == "<") - (line[place] == ">")
        place += 1
    return place
