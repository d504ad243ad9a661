"""Ids of genes across files: the same id with and without its version.

Only Ensembl ids (ENSG, ENSMUSG, …) have versions. What follows the dot of a name is part of the name:
RP11-34P13.7 and RP11-34P13.13 are two genes.
"""

import re

# Until release 24, GENCODE marked genes of Y's pseudoautosomal regions by an R: ENSGR0000182378, ENSG00000182378 on X.
_MARKED_BY_R = re.compile(r"(ENS[GT])R(?=0)", re.IGNORECASE)
_ENSEMBL_ID = re.compile(r"(ENS[A-Z]*\d{6,})(?:\.\d+)?(?:_PAR_Y)?", re.IGNORECASE)


def without_version(gene_id: str) -> str:
    """Return an Ensembl id without its version and GENCODE's marks of the Y chromosome; any other text as it is."""
    match = _ENSEMBL_ID.fullmatch(gene_id)
    return _MARKED_BY_R.sub(r"\g<1>0", match[1]) if match else gene_id
