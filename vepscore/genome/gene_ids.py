"""Compare gene ids between files, with and without their versions.

Only Ensembl ids (ENSG, ENSMUSG, …) have versions. In other names the text after a dot is part of the name:
RP11-34P13.7 and RP11-34P13.13 are two genes.
"""

import re

# Until release 24, GENCODE marked genes in Y's pseudoautosomal regions with an R: ENSGR0000182378 for ENSG00000182378.
_MARKED_BY_R = re.compile(r"(ENS[GT])R(?=0)", re.IGNORECASE)
_ENSEMBL_ID = re.compile(r"(ENS[A-Z]*\d{6,})(?:\.\d+)?(?:_PAR_Y)?", re.IGNORECASE)


def without_version(gene_id: str) -> str:
    """Return an Ensembl id without its version and GENCODE's marks of the Y chromosome; other text is unchanged."""
    match = _ENSEMBL_ID.fullmatch(gene_id)
    return _MARKED_BY_R.sub(r"\g<1>0", match[1]) if match else gene_id
