"""The official metadata files: facts as the official code reports them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.networks.alphagenome.official.track_counts import COUNTS
from tests.paths import need
from vepscore.networks.alphagenome.config import ALPHAGENOME_HEADS
from vepscore.networks.alphagenome.official.metadata import (
    TrackMetadata,
    check_channels,
    organism_of,
    read_metadata,
)
from vepscore.outputs import Output

FILES = {
    "human": "parity/OutputMetadataResponse_ORGANISM_HOMO_SAPIENS.textproto.gz",
    "mouse": "parity/OutputMetadataResponse_ORGANISM_MUS_MUSCULUS.textproto.gz",
}
# organism | output | index | name | strand | ontology_curie | biosample_name | assay | nonzero_mean | channel
FACTS = """\
human|ATAC|15|CLO:0013950 ATAC-seq|.|CLO:0013950|GM21619|ATAC-seq|1.7834909|15
human|CAGE|369|hCAGE CL:0002568|-|CL:0002568|mesenchymal stem cell of Wharton's jelly|hCAGE|74.28569|369
human|DNASE|304|UBERON:8300004 DNase-seq|.|UBERON:8300004|left hindlimb|DNase-seq|1.9468418|304
human|CHIP_TF|0|CL:0000062 TF ChIP-seq CTCF|.|CL:0000062|osteoblast|TF ChIP-seq|1.4646735|0
human|PROCAP|11|ENCSR860TYZ|-|EFO:0001200|MCF 10A|PRO-cap|8.229502|11
human|CONTACT_MAPS|0|4dn:4DNFI9GMP2J8|.|EFO:0003042|H1-hESC|Micro-C|1|0
human|SPLICE_SITES|3|acceptor|-||||1|3
human|SPLICE_JUNCTIONS|366|junction_UBERON:0036149 total RNA-seq|.|UBERON:0036149|suprapubic skin|total RNA-seq|1|366
mouse|DNASE|28|NTR:0000646 DNase-seq|.|NTR:0000646|left cerebral cortex|DNase-seq|1.4155155|28
mouse|SPLICE_SITE_USAGE|90|usage_CL:0000037 total RNA-seq|-|CL:0000037|hematopoietic stem cell|total RNA-seq|1|367
""".splitlines()


@pytest.fixture(scope="module", params=COUNTS)
def official(request: pytest.FixtureRequest) -> tuple[str, TrackMetadata]:
    return request.param, read_metadata(need(FILES[request.param]))


def test_organism_by_name() -> None:
    assert {organism_of(Path(file)): file for file in FILES.values()} == FILES


def test_counts(official: tuple[str, TrackMetadata]) -> None:
    organism, metadata = official
    assert {output: len(tracks) for output, tracks in metadata.tracks.items()} == COUNTS[organism]


def test_channels_are_those_of_the_heads(official: tuple[str, TrackMetadata]) -> None:
    _, metadata = official
    assert metadata.channels == ALPHAGENOME_HEADS
    check_channels(metadata, ALPHAGENOME_HEADS, where=Path("official"))


def test_tracks(official: tuple[str, TrackMetadata]) -> None:
    organism, metadata = official
    for fact in (line.split("|") for line in FACTS):
        if fact[0] == organism:
            tracks, index = metadata.tracks[Output(fact[1])], int(fact[2])
            columns = (tracks.name, tracks.strand, tracks.ontology_curie, tracks.biosample_name, tracks.assay)
            assert [column[index] for column in columns] == fact[3:8]
            assert tracks.nonzero_mean[index] == np.float32(fact[8])
            assert tracks.channel[index] == int(fact[9])


def test_strands_come_in_pairs_in_the_same_order(official: tuple[str, TrackMetadata]) -> None:
    _, metadata = official
    for tracks in metadata.tracks.values():
        plus, minus = (tracks.name[tracks.strand == strand] for strand in "+-")
        assert np.array_equal(plus, minus)


def test_ontologies(official: tuple[str, TrackMetadata]) -> None:
    organism, metadata = official
    curies = [curie for tracks in metadata.tracks.values() for curie in tracks.ontology_curie]
    assert (
        Counter(curie.partition(":")[0] for curie in curies)
        == {
            "human": {"EFO": 2402, "UBERON": 1605, "CL": 1394, "NTR": 93, "CLO": 65, "": 4},
            "mouse": {"UBERON": 548, "CL": 238, "EFO": 203, "NTR": 45, "": 4},
        }[organism]
    )
    assert {len(curie.partition(":")[2]) for curie in curies} == {0, 7}


def test_mouse_minus_strand_follows_the_padding_of_the_plus_strand() -> None:
    usage = read_metadata(need(FILES["mouse"])).tracks[Output.SPLICE_SITE_USAGE]
    assert usage.channel.tolist() == [*range(90), *range(367, 457)]
    assert "".join(usage.strand) == "+" * 90 + "-" * 90
