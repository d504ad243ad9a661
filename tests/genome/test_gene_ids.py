"""Versions are removed from Ensembl ids, not from other names."""

import pytest

from vepscore.genome.gene_ids import without_version


@pytest.mark.parametrize(
    ("gene_id", "expected"),
    [
        ("ENSG00000182378.15", "ENSG00000182378"),
        ("ENSG00000182378.15_PAR_Y", "ENSG00000182378"),
        ("ENSG00000182378_PAR_Y", "ENSG00000182378"),
        ("ENSG00000182378", "ENSG00000182378"),
        ("ENSGR0000182378.10", "ENSG00000182378"),
        ("ENSMUSG00000051951.6", "ENSMUSG00000051951"),
        ("ENST00000381192.10", "ENST00000381192"),
        ("ensg00000182378.15", "ensg00000182378"),
        ("RP11-34P13.7", "RP11-34P13.7"),
        ("AC073842.2", "AC073842.2"),
        ("WASH7P.1", "WASH7P.1"),
        ("ENSA.2", "ENSA.2"),
        ("LOC100287102.1", "LOC100287102.1"),
        ("", ""),
    ],
)
def test_only_ensembl_ids_lose_their_version(gene_id: str, expected: str) -> None:
    assert without_version(gene_id) == expected
