"""Bytes with damage, for Hypothesis."""

from hypothesis import strategies as st

TOKENS = (
    *(
        b"\0",
        b"\t",
        b"\n",
        b"\r",
        b"\r\n",
        b" ",
        b'"',
        b"\\",
        b"\x1b[2J",
        b"\xff",
        b"\xc3\x28",
        b"\xef\xbb\xbf",
    ),
    *(
        "\u2028".encode(),
        b"\x85",
        b"\x1f\x8b",
        b"BCF\2\2",
        b"##",
        b"#CHROM",
        b"##fileformat=VCFv4.2\n",
        b">",
        b"<",
    ),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b";",
        b",",
        b"=",
        b"|",
        b"*",
        b".",
        b"-",
        b"-1",
        b"0",
        b"1e999",
        b"nan",
        b"0x1",
    ),
    *(
        b"2147483647",
        b"2147483648",
        b"9223372036854775808",
        b"9" * 30,
        b"9" * 5000,
        b"chr1",
        b"N" * 1000,
        b"A" * 70,
    ),
    *(
        b"VS",
        b"VS_STATUS=OK",
        b";VS=x",
        b"true",
        b"null",
        b"\\777",
        b"'",
        b"#",
        b"%00",
        b"\x00\x00\x00\x00\x00\x00\x00",
    ),
)


@st.composite
def damaged(draw: st.DrawFn, contents: st.SearchStrategy[bytes], most: int = 4) -> bytes:
    """Contents with up to `most` places cut, doubled, overwritten or filled with what parsers trip over."""
    data = draw(contents)
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        match draw(st.integers(0, 4)):
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:end] + data[start:]
            case 2:
                data = data[:start] + draw(st.sampled_from(TOKENS)) + data[start:]
            case 3:
                data = data[:start] + draw(st.binary(max_size=20)) + data[end:]
            case _:
                data = data[:start] if draw(st.booleans()) else data[start:]
    return data
