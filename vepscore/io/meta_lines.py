"""Parse the structured meta lines of a VCF header, `##KIND=<KEY=value,KEY="quoted value",…>`, like htslib.

Source: `bcf_hdr_parse_line` of htslib (vcf.c).
"""

import re

_KEY = re.compile(r" *([A-Za-z_][0-9A-Za-z_.]*) *= *")
_MARK = re.compile(r"[,<>]")
_ESCAPED = re.compile(r"\\(.)")
_ENDS = {'"': '"', "[": "]"}  # last by first character of values that may contain commas and angle brackets


def parse_meta_line(line: str, kind: str) -> dict[str, str] | None:
    """Return the keys and values of a structured line of one kind, such as INFO or contig.

    Keys may be in any order, with spaces around keys, values and commas. Quoted values are returned without quotes and
    backslashes; they may contain commas and `>`. If a key occurs twice, the first value counts. The closing `>` may be
    missing.

    Returns:
        None if the line is of another kind or htslib skips it.
    """
    start = f"##{kind}=<"
    if not line.startswith(start):
        return None
    fields: dict[str, str] = {}
    index = len(start)
    while True:
        key = _KEY.match(line, index)
        if key is None:
            return None
        value, index = _read_value(line, key.end())
        fields.setdefault(key[1], value)
        if line[index : index + 1] != ",":
            return fields if line[index : index + 1] in ("", ">") else None
        index += 1


def _read_value(line: str, start: int) -> tuple[str, int]:
    """Return the value at `start` and the index of the character after it."""
    end = _ENDS.get(line[start : start + 1])
    if end is not None:
        index = _end_of_quoted(line, start + 1, end)
        return _ESCAPED.sub(r"\1", line[start + 1 : index]).rstrip(" "), index + 1
    index = _end_of_plain(line, start)
    return line[start:index].rstrip(" "), index


def _end_of_quoted(line: str, start: int, end: str) -> int:
    """Return the index of the closing character, unless escaped by a backslash, or the line's length."""
    index = start
    while index < len(line) and line[index] != end:
        index += 2 if line[index] == "\\" else 1
    return min(index, len(line))


def _end_of_plain(line: str, start: int) -> int:
    """Return the index of the comma or `>` that ends a value; angle brackets within it are in pairs."""
    depth = 0
    for mark in _MARK.finditer(line, start):
        if not depth and mark[0] != "<":
            return mark.start()
        depth += {"<": 1, ">": -1, ",": 0}[mark[0]]
    return len(line)
