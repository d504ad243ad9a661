"""Score the variants of a VCF with AlphaGenome-class sequence models.

`vepscore` predicts, for the reference and the alternate allele of each variant, the outputs that its scorers
read, and writes the differences as annotated VCF or Parquet. The command line is `vepscore score`.
"""

__version__ = "0.2.0"
