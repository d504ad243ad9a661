"""Splice events in SpliceAI's form, from signals to lines; what DP must be is worked out by hand."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.io.samples import CONTIGS, PROVENANCE, run_tool
from tests.scorers.cases import WINDOW, make_tracks, read_annotation, run
from vepscore.contract import GeneSite
from vepscore.engine.summary import summarize_details
from vepscore.errors import InputError, UsageError
from vepscore.genome.alleles import Allele, Status
from vepscore.genome.annotation import Annotation
from vepscore.io.header import FIXED_COLUMNS, VcfHeader
from vepscore.io.records import Record, open_records
from vepscore.io.results import AlleleResult, Detail, RecordResult
from vepscore.io.run_metadata import RunMetadata
from vepscore.io.spliceai import Counts, SpliceAiWriter, spliceai_header
from vepscore.outputs import SPLICE_CLASSES, Output
from vepscore.scorers.splice_events import SPLICE_EVENTS

POS1 = 12_049  # in PLUS (10,501-12,500) and MINUS (11,901-13,900), 1-based; base 2,048 of the window
FACTS = PROVENANCE | {
    "vepscoreCheckpoint": 'a "small" one sha256:abc',
    "vepscoreTerms": "for research",
}
HEADER = spliceai_header(
    VcfHeader(
        meta=("##fileformat=VCFv4.2", *(f"##contig=<ID={name},length={bp}>" for name, bp in CONTIGS.items())),
        columns="\t".join(FIXED_COLUMNS),
    ),
    RunMetadata.from_header(FACTS),
)
NOWHERE = ("0.00", 0)


@pytest.fixture(scope="module")
def annotation(tmp_path_factory: pytest.TempPathFactory) -> Annotation:
    return read_annotation(tmp_path_factory.mktemp("annotation"))


def signal(*places: tuple[str, int, float]) -> np.ndarray:
    """(4096, 4) from class of the site, base of the window and probability."""
    values = np.zeros((4096, 4), np.float32)
    for name, base, value in places:
        values[base, SPLICE_CLASSES.index(name)] = value
    return values


def result_of(
    annotation: Annotation, ref: str, alt: str, reference: np.ndarray, alternate: np.ndarray
) -> RecordResult:
    """The record of one ALT at POS1, scored."""
    site = GeneSite(
        allele=Allele(chrom="chr1", pos0=POS1 - 1, ref=ref, alt=alt),
        window=WINDOW,
        annotation=annotation,
        resolutions={Output.SPLICE_SITES: 1},
    )
    strands = "".join(name[-1] for name in SPLICE_CLASSES)
    matrix = run(SPLICE_EVENTS, site, reference, alternate, strands)
    tracks = {Output.SPLICE_SITES: make_tracks(Output.SPLICE_SITES, strands)}
    details = summarize_details([matrix], tracks, site.overlapping_genes())
    return record_of("chr1", POS1, ref, AlleleResult(alt=alt, status=Status.OK, details=details))


def record_of(chrom: str, pos1: int, ref: str, *alleles: AlleleResult) -> RecordResult:
    alts = tuple(allele.alt for allele in alleles)
    record = Record(index=0, chrom=chrom, pos1=pos1, id="rs1", ref=ref, alts=alts, line=b"")
    return RecordResult(record=record, alleles=alleles)


def write(path: Path, *results: RecordResult, header: VcfHeader = HEADER) -> Path:
    with SpliceAiWriter(path, header) as writer:
        for result in results:
            writer.write(result)
    return path


def lines_of(path: Path) -> list[list[str]]:
    with open_records(path) as records:
        return [record.line.decode().split("\t") for record in records]


def values_of(path: Path) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """ALT and gene → DS and DP of AG, AL, DG, DL."""
    values = {}
    for *_, alt, _, _, info in lines_of(path):
        allele, gene, *numbers = info.removeprefix("SpliceAI=").split("|")
        assert allele == alt and len(numbers) == 8
        values[alt, gene] = list(zip(numbers[:4], map(int, numbers[4:]), strict=True))
    return values


def scored(alt: str, *genes: str, status: Status = Status.OK) -> AlleleResult:
    """An allele that gains a donor at 1-based 200 in each gene."""
    kinds = {"acceptor_gain": 0.0, "acceptor_loss": 0.0, "donor_gain:200": 0.5, "donor_loss": 0.0}
    details = [
        Detail(scorer="SPLICE_EVENTS", score=score, gene_id=f"ENSG{gene}", symbol=gene, track=kind)
        for gene in genes
        for kind, score in kinds.items()
    ]
    other = Detail(scorer="RNA_SEQ", score=-0.5, gene_id="ENSGfar", symbol="far", track="a track")
    return AlleleResult(alt=alt, status=status, details=(*details, other))


# Bases of the window are 0-based, and base 0 is chr1:10,001. DP = 10,001 + base - 12,049 = base - 2,048.
TABLE = {
    "SNV": (
        ("A", "C"),
        [("donor+", 600, 0.5), ("acceptor-", 3000, 0.5)],
        [("donor+", 600, 0.25), ("donor+", 2400, 0.75), ("acceptor-", 3000, 0.375), ("acceptor-", 2000, 1)],
        # the donor at 10,601 is weaker and there is one at 12,401
        [NOWHERE, NOWHERE, ("0.75", 352), ("0.25", -1448)],
        # there is an acceptor at 12,001; that at 13,001 is weaker. 0.125 is between two numbers, and 0.12 the even one
        [("1.00", -48), ("0.12", 952), NOWHERE, NOWHERE],
    ),
    # Bases 2,049-2,051 of the alternate are the inserted ones; its base b + 3 is b of the reference right of them.
    "insertion": (
        ("A", "ACGT"),
        [("acceptor+", 2100, 0.875), ("acceptor-", 1950, 0.5), ("donor-", 2300, 0.25)],
        [("donor+", 2050, 0.75), ("acceptor+", 2103, 0.375), ("donor-", 2203, 0.5), ("donor-", 2303, 0.25)],
        # the donor within counts at POS itself; the acceptor at 12,101 is weaker
        [NOWHERE, ("0.50", 52), ("0.75", 0), NOWHERE],
        # the acceptor at 11,951 is gone; there is a donor at 12,201; that at 12,301 is as it was
        [NOWHERE, ("0.50", -98), ("0.50", 152), NOWHERE],
    ),
    # Bases 2,049-2,051 of the reference, 12,050-12,052, are deleted; base b of it is b - 3 of the alternate beyond.
    "deletion": (
        ("ACGT", "A"),
        [("donor+", 2050, 0.75), ("donor-", 2051, 0.625), ("acceptor+", 2500, 0.25)],
        [("acceptor+", 2097, 0.5), ("acceptor+", 2497, 0.25), ("donor-", 2048, 0.375), ("acceptor-", 3877, 0.25)],
        # the donor at 12,051 goes with the bases; there is an acceptor at 12,101; that at 12,501 is as it was
        [("0.50", 52), NOWHERE, NOWHERE, ("0.75", 2)],
        # the donor at 12,052 goes, one before the deletion comes; an acceptor at 13,881, far beyond SpliceAI's 50 bp
        [("0.25", 1832), NOWHERE, ("0.38", 0), ("0.62", 3)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("alleles", "reference", "alternate", "plus", "minus"), TABLE.values(), ids=TABLE)
def test_scores_and_positions_of_both_strands(
    annotation: Annotation,
    tmp_path: Path,
    alleles: tuple[str, str],
    reference: list[tuple[str, int, float]],
    alternate: list[tuple[str, int, float]],
    plus: list[tuple[str, int]],
    minus: list[tuple[str, int]],
) -> None:
    result = result_of(annotation, *alleles, signal(*reference), signal(*alternate))
    path = write(tmp_path / "out.vcf", result)
    assert values_of(path) == {(alleles[1], "Plus"): plus, (alleles[1], "Minus"): minus}


@pytest.mark.parametrize("alleles", [("A", "C"), ("A", "ACGTA"), ("ACGTA", "A")])
def test_positions_are_where_spliceai_lines_alleles_up(
    annotation: Annotation, tmp_path: Path, alleles: tuple[str, str]
) -> None:
    """Deleted bases have no signal; inserted ones and the base before them have their largest."""
    ref_bp, alt_bp = map(len, alleles)
    rng = np.random.default_rng(5)
    reference, alternate = rng.random((2, 4096, 4), np.float32)
    before, after = alternate[:2048], alternate[2048 + alt_bp :]
    here = alternate[2048 : 2048 + alt_bp].max(axis=0, keepdims=True)
    aligned = np.concatenate([before, here, np.zeros((ref_bp - 1, 4)), after])[: 4096 - alt_bp]
    change = aligned - reference[: len(aligned)]
    path = write(tmp_path / "out.vcf", result_of(annotation, *alleles, reference, alternate))
    for gene, strand, (first, end) in (("Plus", "+", (500, 2500)), ("Minus", "-", (1900, 3900))):
        sites = [change[first:end, SPLICE_CLASSES.index(site + strand)] for site in ("acceptor", "donor")]
        changes = list(itertools.chain.from_iterable((site, -site) for site in sites))
        expected = [(f"{one.max():.2f}", first + int(one.argmax()) - 2048) for one in changes]
        assert values_of(path)[alleles[1], gene] == expected


def test_one_line_for_each_alt_and_gene(tmp_path: Path) -> None:
    alleles = (scored("C", "A1", "A2"), scored("g", "A1", "A2"), scored("<DEL>", status=Status.SYMBOLIC))
    path = write(tmp_path / "out.vcf.gz", record_of("chr1", 150, "a", *alleles), record_of("chr1", 160, "T"))
    numbers = "0.00|0.00|0.50|0.00|0|0|50|0"
    assert lines_of(path) == [
        ["chr1", "150", ".", "A", alt, ".", ".", f"SpliceAI={alt}|{gene}|{numbers}"]
        for alt in ("C", "G")
        for gene in ("A1", "A2")
    ]


def events_of(gene_id: str, symbol: str, **scores: float) -> list[Detail]:
    """The events of one locus, each at 200 bp and its score in hundredths."""
    return [
        Detail(
            scorer="SPLICE_EVENTS",
            score=scores.get(kind, 0.0),
            gene_id=gene_id,
            symbol=symbol,
            track=f"{kind}:{200 + round(100 * abs(scores[kind]))}" if kind in scores else kind,
        )
        for kind in ("acceptor_gain", "acceptor_loss", "donor_gain", "donor_loss")
    ]


@pytest.mark.parametrize("other_id", ["ENSG1", "ENSG2"])
@pytest.mark.parametrize("turned", [False, True])
def test_gene_with_several_loci_has_one_line_of_the_largest(
    tmp_path: Path, other_id: str, turned: bool
) -> None:
    """VEP's plug-in takes the last line of a symbol, whichever locus or gene of that name it is about."""
    loci = [
        events_of("ENSG1", "A1", acceptor_gain=0.75, donor_loss=-0.25),
        events_of(other_id, "A1", acceptor_gain=0.5, acceptor_loss=-0.5, donor_loss=-1.0),
    ]
    details = [event for locus in (loci[::-1] if turned else loci) for event in locus]
    path = write(
        tmp_path / "out.vcf",
        record_of("chr1", 150, "A", AlleleResult(alt="C", status=Status.OK, details=tuple(details))),
    )
    assert [line[-1] for line in lines_of(path)] == ["SpliceAI=C|A1|0.75|0.50|0.00|1.00|125|100|0|150"]
    with open_records(path) as records:
        assert Counts.parse(records.header).lines == 1


def test_lines_are_sorted_and_indexed(tmp_path: Path) -> None:
    places = [("chr2", 7), ("chr1", 300), ("chr1", 100), ("chr2", 5), ("chr1", 300)]
    results = [
        record_of(chrom, pos1, "A", scored("CGT"[index % 3], "A1"))
        for index, (chrom, pos1) in enumerate(places)
    ]
    path = write(tmp_path / "out.vcf.gz", *results)
    assert [tuple(line[:2]) for line in lines_of(path)] == [
        (chrom, str(pos1)) for chrom, pos1 in sorted(places)
    ]
    assert [line[4] for line in lines_of(path)] == ["T", "G", "G", "C", "C"]  # of one place, as they came
    assert run_tool("tabix", path, "chr1:300-300").count("\n") == 2
    assert run_tool("bcftools", "query", "-f", "%POS %ALT %SpliceAI\n", "-r", "chr2:5", path) == (
        "5 C C|A1|0.00|0.00|0.50|0.00|0|0|195|0\n"
    )
    assert {each.name for each in tmp_path.iterdir()} == {"out.vcf.gz", "out.vcf.gz.tbi"}


def test_header_says_whose_scores_these_are(tmp_path: Path) -> None:
    path = write(tmp_path / "out.vcf.gz", record_of("chr1", 150, "A", scored("C", "A1")))
    header = run_tool("bcftools", "view", "-h", "--no-version", path)
    assert (
        '##INFO=<ID=SpliceAI,Number=.,Type=String,Description="Predicted by vepscore 0.1.0, checkpoint a _small_ one, '
        "in the form of SpliceAI; not scores of SpliceAI. Delta scores (DS)" in header
    )
    assert (
        "SpliceAIv" not in header
    )  # by which the plug-in would take them for those of a version of SpliceAI
    assert (
        '##vepscoreSpliceAI=made by the checkpoint a "small" one sha256:abc; these are not SpliceAI\'s own scores\n'
        in header
    )
    assert "##vepscoreTerms=for research\n" in header
    assert "##contig=<ID=chr1,length=248956422>\n" in header


def test_alleles_without_lines_are_counted(tmp_path: Path) -> None:
    alleles = (scored("C", "A1", "A2"), scored("G"), AlleleResult(alt="*", status=Status.SYMBOLIC))
    path = write(tmp_path / "out.vcf", record_of("chr1", 150, "A", *alleles))
    line = "##vepscoreSpliceAICounts=2 lines of 1 alleles; left out: 1 not scored, 1 not applicable"
    with open_records(path) as records:
        assert line in records.header.meta
        counts = Counts.parse(records.header)
    assert counts == Counts(lines=2, alleles=1, unscored=1, outside=1)
    with pytest.raises(InputError, match="does not state the number of its lines"):
        Counts.parse(HEADER)


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_file_without_lines(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, record_of("chr1", 150, "A", scored("C")))
    assert lines_of(path) == []
    assert run_tool("bcftools", "view", "-H", path) == ""


def test_contig_that_the_header_lacks_is_declared(tmp_path: Path) -> None:
    places = [("odd", 5), ("chr1", 7), ("odd", 3)]
    path = write(
        tmp_path / "out.vcf.gz",
        *(record_of(chrom, pos1, "A", scored("C", "A1")) for chrom, pos1 in places),
    )
    assert run_tool("bcftools", "query", "-f", "%CHROM:%POS\n", path) == "chr1:7\nodd:3\nodd:5\n"


def test_names_are_encoded_and_a_gene_without_one_has_its_id(tmp_path: Path) -> None:
    detail = Detail(scorer="SPLICE_EVENTS", score=0.5, gene_id="ENSG1", track="donor_gain:160")
    details = [
        Detail(scorer="SPLICE_EVENTS", score=0.0, gene_id="ENSG1", track=kind)
        for kind in ("acceptor_gain", "acceptor_loss", "donor_loss")
    ]
    allele = AlleleResult(alt="C", status=Status.OK, details=(*details, detail))
    path = write(tmp_path / "out.vcf", record_of("chr1", 150, "A", allele, scored("G", "a|b, c")))
    assert {gene for _, gene in values_of(path)} == {"ENSG1", "a%7Cb%2C%20c"}


def test_same_results_same_bytes(tmp_path: Path) -> None:
    results = [record_of("chr1", 150, "A", scored("C", "A1")), record_of("chr1", 90, "A", scored("C", "A1"))]
    first, again = (write(tmp_path / name, *results).read_bytes() for name in ("a.vcf.gz", "b.vcf.gz"))
    assert first == again
    assert (tmp_path / "a.vcf.gz.tbi").read_bytes() == (tmp_path / "b.vcf.gz.tbi").read_bytes()


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with SpliceAiWriter(tmp_path / "out.vcf.gz", HEADER) as writer:
            writer.write(record_of("chr1", 150, "A", scored("C", "A1")))
            raise RuntimeError("of a test")

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.bcf", "-", "out.tsv"])
def test_other_kinds_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"expected a name that ends in .vcf or .vcf.gz"):
        SpliceAiWriter(tmp_path / name, HEADER)


def as_the_plug_in_reads(lines: Sequence[str]) -> dict[tuple[str, ...], str]:
    """What `parse_data` of SpliceAI.pm makes of lines: position and alleles, and the gene → the rest."""
    found = {}
    for line in lines:
        chrom, start, _, ref, alt, _, _, info = line.split("\t")
        _, gene, scores = info.replace("SpliceAI=", "", 1).split("|", 2)
        found[chrom, start, ref, alt, gene] = scores
    return found


def test_plug_in_finds_each_alt_and_gene(tmp_path: Path) -> None:
    alleles = (scored("C", "A1", "A2"), scored("AT", "A1"))
    path = write(tmp_path / "out.vcf.gz", record_of("chr1", 150, "A", *alleles))
    lines = run_tool("tabix", path, "chr1:150-151").splitlines()
    assert as_the_plug_in_reads(lines) == {
        ("chr1", "150", "A", alt, gene): "0.00|0.00|0.50|0.00|0|0|50|0"
        for alt, gene in (("C", "A1"), ("C", "A2"), ("AT", "A1"))
    }
