"""Suffixes of output files, for the formats and for the writers that the formats open; light to import."""

ALLELE_TABLE_SUFFIXES = (".tsv", ".tsv.gz", ".parquet")
SPLICEAI_SUFFIXES = (".vcf", ".vcf.gz")
VCF_SUFFIXES = (".vcf", ".vcf.gz", ".bcf")
