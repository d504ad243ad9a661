"""What a report says: numbers as they stand in the scores, what was not scored, what is missing, the same bytes."""

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.builtin_scorers import BUILTIN
from tests.cli.commands import vepscore
from tests.report.reports import (
    HOSTILE,
    WITHOUT,
    make_report,
    planted_signals,
    ranking_of,
    write_hostile,
)
from tests.report.scored import Scored, write_scored
from vepscore.errors import UsageError
from vepscore.genome.annotation import Annotation
from vepscore.genome.regions import VariantText
from vepscore.io import long_table as parquet
from vepscore.io.long_table_reader import LongTableReader
from vepscore.io.staged_writer import TextWriter
from vepscore.report.details import details_of_entries, read_details
from vepscore.report.document import MAY_DIFFER, collect_alleles, differing_facts, pack_entry
from vepscore.report.modalities import SCORER_WORDS
from vepscore.report.page import SUFFIXES
from vepscore.report.scene import BIN_BP, compose_scene

PANEL = re.compile(r'<script type="text/plain" id="panel-\d+">(.*?)</script>')


def unpack(panel: str) -> dict[str, Any]:
    return json.loads(zlib.decompress(base64.b64decode(panel)))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return write_scored(tmp_path_factory.mktemp("scored"))


class TestDetails:
    def test_every_number_is_that_of_its_row(self, scored: Scored) -> None:
        table = pd.read_parquet(scored.parquet)
        found = read_details(LongTableReader(scored.parquet), [(0, 0), (1, 0), (4, 0)])
        effects = [
            (key, effect)
            for key, details in found.items()
            for effect in (*details.effects, *details.junctions)
        ]
        assert len(effects) > 20
        for (record, alt_index), effect in effects:
            row = table.iloc[effect.row]
            assert (row["record"], row["alt_index"]) == (record, alt_index)
            assert (row["variant_scorer"], row["track_name"]) == (effect.scorer, effect.track)
            assert np.float32(effect.text) == row["raw_score"]

    def test_the_strongest_row_of_each_scorer_and_tissue_comes_first(self, scored: Scored) -> None:
        details = read_details(LongTableReader(scored.parquet), [(0, 0)])[0, 0]
        found = [(one.scorer, one.text, one.tissue) for one in details.effects if one.scorer == "DNASE"]
        assert found == [("DNASE", "0.5", "heart"), ("DNASE", "-0.25", "K562")]
        assert [(*one.place, one.text) for one in details.junctions] == [
            (1100, 3000, "1.25"),
            (1100, 2000, "0.75"),
        ]

    def test_an_allele_may_lie_in_two_row_groups(
        self, scored: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = read_details(LongTableReader(scored.parquet), [(0, 0), (4, 0)])
        monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 5)
        parts = write_scored(tmp_path)
        found = read_details(LongTableReader(parts.parquet), [(0, 0), (4, 0)])
        assert str(found) == str(whole)  # as text, because quantiles are NaN

    def test_an_annotated_vcf_has_the_largest_of_each_gene(self, scored: Scored) -> None:
        (first, *_) = ranking_of(scored.vcf).rows
        effects = details_of_entries(first.allele).effects
        assert ("SPLICE_SITES", "0.75", "Main") in {(one.scorer, one.text, one.gene) for one in effects}
        places = {one.place for one in effects if one.scorer == "SPLICE_EVENTS"}
        assert places == {(2000, 2001), (2030, 2031), None}

    def test_packed_names_are_numbered_once(self, scored: Scored) -> None:
        names = {"": 0}
        (effect, *_) = read_details(LongTableReader(scored.parquet), [(0, 0)])[0, 0].effects
        assert pack_entry(effect, names) == pack_entry(effect, names)
        assert list(names.values()) == list(range(len(names)))


class TestScene:
    def test_places_of_the_picture(self, scored: Scored, tmp_path: Path) -> None:
        ranking = ranking_of(scored.parquet, scored.gtf)
        genes = Annotation.from_gtf(scored.gtf, tmp_path)
        case = collect_alleles(str(scored.parquet), ranking, genes, planted_signals(ranking))[0]
        scene = case.scene
        assert scene.variant == (2000, 2001)
        assert (scene.genes[0].name, scene.genes[0].transcripts[0][1]) == ("Main", (2000, 2120))
        assert [(one.kind, place.start0, one.text) for place, one in scene.site_changes] == [
            ("acceptor", 2000, "-0.75"),
            ("donor", 2030, "0.125"),
        ]
        (site,) = scene.sites
        assert (site.kind, site.strand, site.pos0) == ("donor", "+", 2000)
        assert (site.reference, site.alternate) == pytest.approx((0.9, 0.1))
        (profile,) = scene.profiles
        assert (profile.track, profile.tissue) == ("dnase", "heart")
        assert len(profile.reference) == 2048 // BIN_BP
        assert (profile.alternate[0], profile.alternate[-1]) == (1.0, 0.5)
        assert scene.extent.start0 <= scene.focus.start0 < scene.focus.end0 <= scene.extent.end0

    def test_what_is_missing_is_said(self, scored: Scored) -> None:
        details = read_details(LongTableReader(scored.parquet), [(0, 0)])[0, 0]
        variant = VariantText(chrom="chr1", pos1=2001, ref="A", alt="C")
        scene = compose_scene(variant, details, signals="because")
        assert scene.notes == ("no genes: no annotation was given (-g)", "no predicted tracks: because")
        assert scene.predicted is None


class TestPage:
    def test_the_same_input_gives_the_same_bytes(self, scored: Scored, tmp_path: Path) -> None:
        pages = [
            make_report(scored.parquet, tmp_path / name, annotation=scored.gtf, has_tracks=True).read_bytes()
            for name in ("a.html", "b.html")
        ]
        assert pages[0] == pages[1]

    def test_it_names_no_other_file_and_no_address(self, scored: Scored, tmp_path: Path) -> None:
        text = make_report(scored.parquet, tmp_path / "a.html", has_tracks=True).read_text()
        assert "default-src &#39;none&#39;" in text
        found = re.findall(r"""(?:src|href)=["']?[^"' >]+|url\([^#)]*\)|@import""", text)
        assert set(found) <= {'href="#unscored'}
        assert re.findall(r"https?://\S+", text) == []

    def test_what_was_not_scored_is_listed_with_the_reason(self, scored: Scored, tmp_path: Path) -> None:
        text = make_report(scored.vcf, tmp_path / "a.html").read_text()
        assert "chr2:100 C&gt;A</td>" in text and "<code>REF_MISMATCH</code>" in text
        assert "most often the genome is another assembly" in text

    def test_a_long_table_says_that_it_has_scored_alleles_only(self, scored: Scored, tmp_path: Path) -> None:
        text = make_report(scored.parquet, tmp_path / "a.html").read_text()
        assert "A long table has scored alleles only" in text

    def test_tracks_of_another_checkpoint_are_said_to_be(self, scored: Scored, tmp_path: Path) -> None:
        text = make_report(scored.parquet, tmp_path / "a.html", has_tracks=True).read_text()
        assert "checkpoint: tracks of-another-test, scores of-a-test" in text

    def test_files_are_compared_by_their_hashes(self) -> None:
        assert (
            differing_facts({"vepscoreReference": "a.fa sha256:1"}, {"vepscoreReference": "b.fa sha256:1"})
            == []
        )
        scores, tracks = {"vepscoreWindow": "1048576 bp"}, {"vepscoreWindow": "16384 bp"}
        assert differing_facts(scores, tracks) == []
        assert differing_facts(scores, tracks, MAY_DIFFER) == ["window: tracks 16384 bp, scores 1048576 bp"]

    def test_text_of_the_input_is_escaped(self, tmp_path: Path) -> None:
        scored = write_hostile(tmp_path)
        text = make_report(scored.vcf, tmp_path / "a.html", annotation=scored.gtf).read_text()
        assert HOSTILE not in text
        assert text.count("<script") == text.count("</script>")
        assert HOSTILE in json.dumps([unpack(panel) for panel in PANEL.findall(text)])
        assert "Terms of the checkpoint." in text

    def test_every_built_in_scorer_is_explained(self) -> None:
        assert {name for name in BUILTIN if not name.endswith("_ACTIVE")} == SCORER_WORDS.keys()

    def test_output_of_another_kind(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"a.pdf\n  expected a name that ends in .html"):
            TextWriter(tmp_path / "a.pdf", SUFFIXES)


class TestCommand:
    def test_page_is_written_or_nothing(self, scored: Scored, tmp_path: Path) -> None:
        done = vepscore(
            "report", str(scored.vcf), "-g", str(scored.gtf), "-o", str(tmp_path / "a.html"), "--top", "1"
        )
        assert done.returncode == 0, done.stderr
        assert "1 of 7 alternate alleles are in" in done.stderr
        text = (tmp_path / "a.html").read_text()
        (panel,) = PANEL.findall(text)
        assert "no predicted tracks: no reference was given (-r)" in unpack(panel)["pictures"][0]
        failed = vepscore("report", str(tmp_path / "absent.vcf"), "-o", str(tmp_path / "b.html"))
        assert failed.returncode == 1
        assert [path.name for path in tmp_path.iterdir()] == ["a.html"]

    def test_without_the_extra_it_says_what_to_install(self, scored: Scored) -> None:
        done = vepscore("report", str(scored.vcf), "-o", "a.html", program=WITHOUT.format(module="jinja2"))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "error: reports are made with jinja2, which is not installed\n  hint: pip install 'vepscore[report]'\n"
        )

    def test_an_input_is_not_replaced(self, scored: Scored, tmp_path: Path) -> None:
        page = tmp_path / "genes.html"
        page.write_text("genes")
        done = vepscore("report", str(scored.vcf), "-g", str(page), "-o", str(page))
        assert done.returncode == 2 and "would replace an input" in done.stderr
        assert page.read_text() == "genes"
