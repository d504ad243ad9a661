"""`predict` writes the signals of full forward passes, at every resolution, for both alleles."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyBigWig
import pytest

from tests.builders import HEADS, TinyGenome, sequences
from tests.engine.comparison import HALF_PRECISION, ROUNDED, TOLERANCE
from tests.engine.jobs import tiny_job
from tests.engine.plain import Case, PlainScorer
from vepscore.engine.prediction import Prediction, predict
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.signal_scorers import SIGNALS, read_region
from vepscore.errors import GenomeError, InputError, UsageError, VepscoreError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.regions import Region, parse_variant
from vepscore.io.records import Record
from vepscore.io.signal_files import WrittenFile
from vepscore.model.checkpoint import Checkpoint
from vepscore.model.registry import embedded_checkpoint
from vepscore.networks.alphagenome.config import scored_resolution_bp
from vepscore.outputs import Output

REGION = "chr1:15,501-16,500"
BASES = sequences()["chr1"]
POS0 = 16_000
OTHER = "ACGT"["ACGT".find(BASES[POS0]) - 1]
VARIANTS = {
    "SNV": f"chr1:{POS0 + 1}:{BASES[POS0]}>{OTHER}",
    "insertion": f"chr1-{POS0 + 1}-{BASES[POS0]}-{BASES[POS0]}TGCAT",
    "deletion": f"chr1:{POS0 + 1}:{BASES[POS0 : POS0 + 40]}>{BASES[POS0]}",
}


@dataclasses.dataclass(frozen=True)
class Bench:
    """Predict with the tiny network, into a folder."""

    genome: TinyGenome
    checkpoint: Path
    folder: Path

    def predict(self, place: str, **changes: object) -> list[WrittenFile]:
        asked = {"place": place, "region": None, "outputs": None, "tissue": None}
        options = {name: changes.pop(name) for name in list(changes) if name not in asked}
        job = tiny_job(self.genome, self.checkpoint, Path(), **{"genes": None} | options)
        return predict(job, Prediction(**asked | changes), self.folder)

    def read(self, file: WrittenFile, *, start0: int, end0: int) -> np.ndarray:
        with pyBigWig.open(str(self.folder / file.file)) as opened:
            return opened.values("chr1", start0, end0, numpy=True)


@pytest.fixture
def bench(genome: TinyGenome, checkpoint_folder: Path, tmp_path: Path) -> Bench:
    return Bench(genome, checkpoint_folder, tmp_path / "out")


@pytest.fixture(scope="module")
def plain(checkpoint: Checkpoint) -> PlainScorer:
    return PlainScorer(checkpoint)


def case_of(plain: PlainScorer, preparer: AllelePreparer, text: str) -> Case:
    variant = parse_variant(text)
    record = Record(
        index=0, chrom="chr1", pos1=variant.pos1, id=".", ref=variant.ref, alts=(variant.alt,), line=b""
    )
    (allele,) = preparer.prepare(record)
    return plain.predict(allele)


def by_base(case: Case, signal: np.ndarray, output: Output, *, is_alternate: bool) -> np.ndarray:
    """Expand a signal (B, T) to one (S, T) by base, in reference coordinates; insertions count at 1 bp only."""
    spread = np.repeat(signal, scored_resolution_bp(output), axis=0)
    if not is_alternate:
        return spread
    if scored_resolution_bp(output) == 1:
        return case.align(spread, None)
    anchor = case.allele.pos0 - case.window.start0 + min(len(case.allele.ref), len(case.allele.alt))
    inserted_bp = case.allele.inserted_bp
    nothing = np.zeros((abs(inserted_bp), spread.shape[1]), spread.dtype)
    if inserted_bp >= 0:
        return np.concatenate([spread[:anchor], spread[anchor + inserted_bp :], nothing])
    return np.concatenate([spread[:anchor], nothing, spread[anchor:]])[: len(spread)]


def expected_bins(case: Case, file: WrittenFile, track: int) -> np.ndarray:
    """Return a track's values (S,) by base: those of its bin."""
    output, is_alternate = Output(file.output), file.allele == "alternate"
    if is_alternate and case.right is not None:
        if scored_resolution_bp(output) == 1:
            return case.signals(output)[1][:, track]
        return np.repeat(case.in_phase(output)[:, track], scored_resolution_bp(output))
    prediction = case.alternate if is_alternate else case.reference
    whole = by_base(case, prediction.tracks[output], output, is_alternate=is_alternate)
    bins = whole[:, track].reshape(-1, scored_resolution_bp(output)).mean(axis=1, dtype=np.float64)
    return np.repeat(bins, scored_resolution_bp(output))


@pytest.mark.parametrize(
    ("kind", "anchor"),
    [*((kind, IndelAnchor.LEFT) for kind in VARIANTS), *((kind, IndelAnchor.BOTH) for kind in VARIANTS)],
)
def test_bigwigs_have_the_signals_of_full_passes(
    bench: Bench,
    plain: PlainScorer,
    preparer: AllelePreparer,
    checkpoint: Checkpoint,
    kind: str,
    anchor: IndelAnchor,
) -> None:
    case = case_of(plain, dataclasses.replace(preparer, indel_anchor=anchor), VARIANTS[kind])
    written = bench.predict(VARIANTS[kind], region=REGION, indel_anchor=anchor)
    bigwigs = [file for file in written if file.file.endswith(".bw")]
    assert len(bigwigs) == 3 * sum(
        len(HEADS[output][1]) for output in SIGNALS if output is not Output.CONTACT_MAPS
    )
    start0 = case.window.start0
    found = {file.file: bench.read(file, start0=15_500, end0=16_500) for file in bigwigs}
    for file in bigwigs:
        if file.allele == "difference":
            alleles = [found[file.file.replace(file.allele, name)] for name in ("alternate", "reference")]
            np.testing.assert_array_equal(found[file.file], np.float32(alleles[0]) - np.float32(alleles[1]))
            continue
        names = list(checkpoint.tracks[Output(file.output)].name)
        expected = expected_bins(case, file, names.index(file.track))[15_500 - start0 : 16_500 - start0]
        tolerance = HALF_PRECISION if file.output in ROUNDED else TOLERANCE
        np.testing.assert_allclose(found[file.file], expected, **tolerance, err_msg=file.file)
        first = (15_500 - start0) // file.resolution_bp * file.resolution_bp + start0
        assert np.isnan(bench.read(file, start0=first - 10, end0=first)).all()


def test_contact_maps_of_a_substitution_are_those_of_full_passes(
    bench: Bench, plain: PlainScorer, preparer: AllelePreparer
) -> None:
    case = case_of(plain, preparer, VARIANTS["SNV"])
    (file,) = bench.predict(VARIANTS["SNV"], outputs=("CONTACT_MAPS",), region="chr1:14,000-19,000")
    with np.load(bench.folder / file.file) as arrays:
        bins = (arrays["start0"] - case.window.start0) // 2048
        for allele, prediction in (("reference", case.reference), ("alternate", case.alternate)):
            expected = prediction.tracks[Output.CONTACT_MAPS][bins][:, bins]
            np.testing.assert_allclose(arrays[allele], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(arrays["difference"], arrays["alternate"] - arrays["reference"])
        np.testing.assert_array_equal(arrays["end0"] - arrays["start0"], 2048)
        assert arrays["start0"][0] <= 13_999 < arrays["end0"][0]
        assert arrays["start0"][-1] < 19_000 <= arrays["end0"][-1]
        assert list(arrays["biosample_name"]) == ["tissue 0", "tissue 1"]


def test_contact_maps_of_an_indel_take_each_pair_from_one_of_its_windows(
    bench: Bench, plain: PlainScorer, both_preparer: AllelePreparer
) -> None:
    case = case_of(plain, both_preparer, VARIANTS["deletion"])
    (file,) = bench.predict(
        VARIANTS["deletion"],
        outputs=("CONTACT_MAPS",),
        region="chr1:12,000-21,000",
        indel_anchor=IndelAnchor.BOTH,
    )
    left, right = (each.tracks[Output.CONTACT_MAPS] for each in (case.alternate, case.right))
    with np.load(bench.folder / file.file) as arrays:
        bins = (arrays["start0"] - case.window.start0) // 2048
        middle = (case.allele.pos0 - case.window.start0) // 2048
        for place, row in enumerate(bins):
            before = right if row > middle else left
            if row != middle:
                np.testing.assert_allclose(
                    arrays["alternate"][place, place], before[row, row], rtol=1e-4, atol=1e-5
                )
        row = list(bins).index(middle)
        np.testing.assert_allclose(
            arrays["alternate"][row], case.contacts_in_phase()[bins], rtol=1e-4, atol=1e-5
        )


def test_region_alone_has_the_reference_only(bench: Bench) -> None:
    written = bench.predict("chr1:15,001-15,100", outputs=("dnase",))
    assert [(file.file, file.allele, file.bins) for file in written] == [
        ("DNASE.DNASE_0.reference.bw", "reference", 100),
        ("DNASE.DNASE_1.reference.bw", "reference", 100),
    ]
    with pyBigWig.open(str(bench.folder / written[0].file)) as file:
        assert (file.chroms(), file.header()["nBasesCovered"]) == ({"chr1": 30_000}, 100)
    listing = json.loads((bench.folder / "prediction.json").read_text())
    assert listing["files"][0]["file"] == written[0].file
    assert listing["made of"]["region"] == "chr1:15001-15100"
    assert listing["made of"]["vepscoreCheckpoint"].startswith("tiny sha256:")


def test_region_gives_what_a_variant_gives_for_the_reference(bench: Bench) -> None:
    """Their windows are the same if their centers are."""
    (of_region,) = bench.predict("chr1:15,993-16,008", outputs=("SPLICE_SITE_USAGE",), tissue="UBERON:1")
    expected = bench.read(of_region, start0=15_992, end0=16_008)
    variant = f"chr1:{16_000}:{BASES[15_999]}>{'ACGT'['ACGT'.find(BASES[15_999]) - 1]}"
    of_variant, *_ = bench.predict(
        variant, outputs=("SPLICE_SITE_USAGE",), tissue="tissue 1", region="chr1:15993-16008"
    )
    np.testing.assert_array_equal(bench.read(of_variant, start0=15_992, end0=16_008), expected)


def test_tissue_narrows_what_is_predicted(bench: Bench) -> None:
    written = bench.predict("chr1:15,001-15,100", tissue="uberon:2")
    assert {(file.output, file.biosample) for file in written} == {
        (output, "tissue 2") for output in ("ATAC", "RNA_SEQ", "SPLICE_SITE_USAGE", "SPLICE_SITES")
    }


def test_only_the_region_is_read(preparer: AllelePreparer) -> None:
    region = Region(chrom="chr1", start0=15_000, end0=15_300)
    record = Record(
        index=0, chrom="chr1", pos1=15_101, id=".", ref=BASES[15_100:15_120], alts=("A",), line=b""
    )
    (allele,) = preparer.prepare(record)
    readers = read_region(region, {output: scored_resolution_bp(output) for output in SIGNALS})
    assert {reader.output for reader in readers} == set(SIGNALS)
    for reader in readers:
        positions = reader.footprint(allele.site).positions
        bins = positions[positions >= 0]
        assert 0 <= len(bins) - 300 // scored_resolution_bp(reader.output) <= 2, reader.name


def test_bins_end_where_the_contig_ends(bench: Bench) -> None:
    (file,) = bench.predict("chr1:29,991-30,000", outputs=("CHIP_TF",), tissue="tissue 0")
    with pyBigWig.open(str(bench.folder / file.file)) as opened:
        assert opened.intervals("chr1")[-1][1] == 30_000


@pytest.mark.parametrize(
    ("place", "changes", "error", "says"),
    [
        ("chr1:1-20,000", {}, UsageError, "is 20000 bp wide; 16384 bp of a window are predicted"),
        ("chr1:x", {}, UsageError, "or a variant: chrom:pos:REF>ALT"),
        ("chr7:1-10", {}, GenomeError, "tiny.fa has no contig chr7"),
        (VARIANTS["SNV"].replace(f"{BASES[POS0]}>", f"{OTHER}>"), {}, InputError, "REF_MISMATCH: REF is"),
        (
            VARIANTS["SNV"],
            {"region": "chr1:1-100"},
            UsageError,
            "is not within the window, chr1:7810-24193",
        ),
        (REGION, {"region": REGION}, UsageError, "the region is chr1:15,501-16,500 already"),
        (
            REGION,
            {"outputs": ("DNASE", "BOGUS")},
            UsageError,
            "--output BOGUS\n  expected one of ATAC, DNASE",
        ),
        (
            REGION,
            {"outputs": ("SPLICE_JUNCTIONS",)},
            UsageError,
            "junctions have no signal along the sequence",
        ),
        (REGION, {"tissue": "tissue9"}, UsageError, "nearest: tissue 3, tissue 2, tissue 1, tissue 0"),
    ],
)
def test_impossible_prediction_is_an_error_and_writes_nothing(
    bench: Bench, place: str, changes: dict[str, Any], error: type[VepscoreError], says: str
) -> None:
    with pytest.raises(error) as caught:
        bench.predict(place, **changes)
    assert says in str(caught.value)
    assert not bench.folder.exists()


def test_output_that_the_checkpoint_lacks_is_an_error(genome: TinyGenome, tmp_path: Path) -> None:
    bench = Bench(genome, embedded_checkpoint(), tmp_path / "out")
    with pytest.raises(UsageError, match=r"--output CHIP_TF: not predicted by this checkpoint\s+found CAGE"):
        bench.predict(REGION, outputs=("CHIP_TF",))
    assert not bench.folder.exists()
