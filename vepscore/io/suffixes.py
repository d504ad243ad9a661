"""Suffixes of output files; light to import."""

ALLELE_TABLE_SUFFIXES = (".tsv", ".tsv.gz", ".parquet")
SPLICEAI_SUFFIXES = (".vcf", ".vcf.gz")
VCF_SUFFIXES = (".vcf", ".vcf.gz", ".bcf")
TSV_SUFFIXES = (".tsv", ".tsv.gz")
