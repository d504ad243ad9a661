"""VCFs of all kinds, for Hypothesis: valid ones, however odd."""

import codecs
import gzip
import io
import itertools

from hypothesis import strategies as st

from tests.builders import CONTIGS, sequences
from vepscore.io.lines import _BGZF_END as BGZIP_END

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
META = (
    *(f"##contig=<ID={name},length={length}>" for name, length in CONTIGS.items()),
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count">',
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="twice">',
    '##INFO=<ID=DB,Number=0,Type=Flag,Description="a, b; c=<d> \\" e">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    '##FILTER=<ID=q10,Description="ünïcode \u2028 \x85 text">',
    "##ALT=<ID=DEL,Description=>",
    "##contig=<ID=chrUn,assembly=GRCh37>",
    "##",
    "##=",
    "##source=" + "x" * 3000,
    "##INFO=<>",
)
CHROMS = (
    "chr1",
    "1",
    "chr2",
    "chr3",
    "chrUn",
    "HLA-A*01:01",
    "NC_000001.11",
    "chr1 ",
    "<chr1>",
    "a,b",
    "\u2028",
    "MT",
)
ODD_TEXT = ("", ".", "rs1;rs2", "a b", "%3B", "\x1b[31m", "ü", "0", "PASS", "q10;q20", "1e-300", "nan")
ALTS = (
    *(
        "A",
        "C",
        "G",
        "T",
        "acgt",
        "N",
        "R",
        "",
        ".",
        "*",
        "<DEL>",
        "<INS:ME>",
        "<*>",
        "<NON_REF>",
        "A.",
        ".A",
    ),
    *("G]17:198982]", "]chr1:5]T", "[<ctg>:7[A", "A" * 300, "AC" * 2500, "<" + "x" * 500 + ">", "é", "\x01"),
)
INFOS = (
    "",
    ".",
    "DB",
    "AC=1",
    "AC=1,2;DB",
    "X",
    "X=;Y",
    ";;",
    "A=%3D",
    "END=5;SVTYPE=DEL",
    "V=VS",
    "VSX=1",
    "é=ü",
)
FORMATS = ("GT\t0/1", "GT:DP\t./.:3", ".\t.", "\t", "GT\t", "PL\t" + "0," * 200 + "0")

ODD_ENDS = (b"", b"", b"", b"\t", b" ", b"\t\t", b"\t ", b"\t.", b"\t0/1")
ODD_FORMATS = (b"\tFORMAT", b"\tFORMAT\ts1", b"\tFORMAT\t", b"\ts1", b"\tFORMAT\ts1\ts1")
ODD_SAMPLES = (b"\ts1", b"\ts2", b"\t\ts2", b"\tFORMAT")
ODD_META = (
    b'##INFO=<ID=AC, Number=A , Type=Integer, Description="a">',
    b'##INFO=< Number=A,ID = "AC" ,Type=Integer,Description="a>, b\\" c">',
    b"##INFO=<ID=AC,Values=[1,2>",
    b"##INFO=<ID=AC",
    b'##INFO=<ID=AC,Description="a',
    b"##contig=<length=30000, ID=chr1>",
    b"##contig=<ID=chr1,IDX=0>",
    b"##contig=<ID=chrUn,length=long>",
    b"##FORMAT=<ID=GT,Number=1,Type=Float,Description=<a>",
    b"##=<ID=AC>",
)

_POSITIONS = st.one_of(
    st.integers(0, 31_000),
    st.sampled_from([0, 1, 2**29, 2**29 + 1, 2**31 - 2, 2**31 - 1]),
    st.integers(0, 2**31 - 1),
)


@st.composite
def records(draw: st.DrawFn, *, has_samples: bool) -> str:
    """One line, without its end."""
    chrom, pos1 = draw(st.sampled_from(CHROMS)), draw(_POSITIONS)
    if draw(st.booleans()):
        bases = sequences().get(chrom, "")
        ref = bases[max(0, pos1 - 1) : pos1 - 1 + draw(st.integers(1, 5))] or "A"
    else:
        ref = draw(st.sampled_from(ALTS))
    alt = ",".join(draw(st.lists(st.sampled_from(ALTS), max_size=5))) or "."
    odd = [draw(st.sampled_from(ODD_TEXT)) for _ in range(3)]
    columns = [chrom, str(pos1), odd[0], ref, alt, odd[1], odd[2], draw(st.sampled_from(INFOS))]
    if has_samples:
        columns.append(draw(st.sampled_from(FORMATS)))
    return "\t".join(columns)


@st.composite
def vcf_texts(draw: st.DrawFn) -> bytes:
    """A whole file as plain text: all of it can be read."""
    has_samples = draw(st.booleans())
    meta = draw(st.lists(st.sampled_from(META), max_size=8))
    columns = COLUMNS + ("\tFORMAT\ts1" if has_samples else "")
    body = draw(st.lists(records(has_samples=has_samples), max_size=8))
    blank = draw(st.booleans())
    lines = [
        "##fileformat=VCFv4.2",
        *meta,
        columns,
        *(line for record in body for line in [record] + [""] * blank),
    ]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join(lines) + end * draw(st.booleans())
    odd_bytes = draw(st.sampled_from([b"\xc3\xbc", b"\xff\xfe", b"\xed\xa0\x80"]))  # ü, or no UTF-8
    return text.encode().replace("ü".encode(), odd_bytes)


@st.composite
def odd_column_texts(draw: st.DrawFn) -> bytes:
    """A whole file whose header lines, column line or records have what does not belong there."""
    lines = draw(vcf_texts()).replace(b"\r", b"").rstrip(b"\n").split(b"\n")
    place = next(index for index, line in enumerate(lines) if line.startswith(b"#CHROM"))
    for index in range(place + 1, len(lines)):
        lines[index] += draw(st.sampled_from(ODD_ENDS)) if lines[index] else b""
    has_samples = lines[place].count(b"\t") > 8
    lines[place] += draw(st.sampled_from((*ODD_ENDS, *(ODD_SAMPLES if has_samples else ODD_FORMATS))))
    lines[place:place] = draw(st.lists(st.sampled_from(ODD_META), max_size=2))
    return b"\n".join(lines) + b"\n"


def expected_lines(text: bytes) -> list[bytes]:
    """The records of a VCF as they are read: the lines below the header that are not empty, without blank ends."""
    lines = (line.rstrip(b"\r") for line in text.removeprefix(codecs.BOM_UTF8).split(b"\n"))
    columns, *below = itertools.dropwhile(lambda line: line.startswith(b"##"), lines)
    count = columns.count(b"\t") + 1
    return [_without_blank_end(line, count) for line in below if line]


def _without_blank_end(line: bytes, count: int) -> bytes:
    columns = line.split(b"\t")
    assert not b"".join(columns[count:]).strip(b" "), "a column is lost"
    *others, last = columns[:count]
    assert last.strip(b" ") or len(columns) == count, "an empty column took the place of another"
    return b"\t".join([*others, last.rstrip(b" ") or last])


def bgzip(data: bytes, block: int = 200) -> bytes:
    """`data` in bgzip blocks of so many bytes."""
    blocks = (data[start : start + block] for start in range(0, len(data), block))
    return b"".join(map(_bgzip_block, blocks)) + BGZIP_END


def _bgzip_block(data: bytes) -> bytes:
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as zipped:
        zipped.write(data)
    plain = file.getvalue()
    size = len(plain) + 8 - 1  # of the block, less one; the header grows by 8 bytes
    extra = b"\x06\x00BC\x02\x00" + size.to_bytes(2, "little")
    return plain[:3] + b"\x04" + plain[4:10] + extra + plain[10:]


def gzip_of(data: bytes) -> bytes:
    """Plain gzip."""
    return gzip.compress(data, mtime=0)


CONTAINERS = (bytes, gzip_of, bgzip)
