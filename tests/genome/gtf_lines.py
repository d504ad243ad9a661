"""GTFs of four sources, and lines to write others."""
# ruff: noqa: E501 (the lines of a GTF are long)

GENCODE = """\
##description: evidence-based annotation of the human genome (GRCh38), version 48 (Ensembl 114)
chr16	HAVANA	gene	101	900	.	-	.	gene_id "ENSG01.7"; gene_type "protein_coding"; gene_name "ABC1"; level 2;
chr16	HAVANA	transcript	101	900	.	-	.	gene_id "ENSG01.7"; transcript_id "ENST01.1"; gene_type "protein_coding"; \
gene_name "ABC1"; tag "basic"; tag "CCDS";
chr16	HAVANA	exon	801	900	.	-	.	gene_id "ENSG01.7"; transcript_id "ENST01.1"; exon_number 1;
chr16	HAVANA	CDS	801	900	.	-	0	gene_id "ENSG01.7"; transcript_id "ENST01.1"; exon_number 1;
chr16	HAVANA	exon	101	200	.	-	.	gene_id "ENSG01.7"; transcript_id "ENST01.1"; exon_number 2;
chr16	HAVANA	UTR	101	120	.	-	.	gene_id "ENSG01.7"; transcript_id "ENST01.1"; exon_number 2;
"""

ENSEMBL = """\
#!genome-build GRCh38.p14
16	havana	gene	101	900	.	-	.	gene_id "ENSG01"; gene_version "7"; gene_source "havana"; gene_biotype "lncRNA";
16	havana	transcript	101	900	.	-	.	gene_id "ENSG01"; gene_version "7"; transcript_id "ENST01"; \
transcript_version "1"; gene_source "havana"; gene_biotype "lncRNA"; transcript_biotype "lncRNA";
16	havana	exon	801	900	.	-	.	gene_id "ENSG01"; gene_version "7"; transcript_id "ENST01"; exon_number "1";
16	havana	exon	101	200	.	-	.	gene_id "ENSG01"; gene_version "7"; transcript_id "ENST01"; exon_number "2";
"""

NCBI = """\
#gtf-version 2.2
NC_000016.10	BestRefSeq	gene	101	900	.	-	.	gene_id "ABC1"; transcript_id ""; db_xref "GeneID:1"; \
description "a; b"; gbkey "Gene"; gene "ABC1"; gene_biotype "protein_coding"; 
NC_000016.10	BestRefSeq	transcript	101	900	.	-	.	gene_id "ABC1"; transcript_id "NM_1.1"; gbkey "mRNA"; gene "ABC1"; 
NC_000016.10	BestRefSeq	exon	801	900	.	-	.	gene_id "ABC1"; transcript_id "NM_1.1"; gene "ABC1"; exon_number "1"; 
NC_000016.10	BestRefSeq	exon	101	200	.	-	.	gene_id "ABC1"; transcript_id "NM_1.1"; gene "ABC1"; exon_number "2"; 
NC_000016.10	Gnomon	gene	2001	2100	.	+	.	gene_id "LOC2"; transcript_id ""; gene "LOC2"; gene_biotype "pseudogene"; 
###
"""

UCSC = """\
chr16	ncbiRefSeq	transcript	101	900	.	-	.	gene_id "ABC1"; transcript_id "NM_1.1";  gene_name "ABC1";
chr16	ncbiRefSeq	exon	101	200	.	-	.	gene_id "ABC1"; transcript_id "NM_1.1"; exon_number "1"; gene_name "ABC1";
chr16	ncbiRefSeq	CDS	101	200	.	-	0	gene_id "ABC1"; transcript_id "NM_1.1"; exon_number "1"; gene_name "ABC1";
chr16	ncbiRefSeq	exon	801	900	.	-	.	gene_id "ABC1"; transcript_id "NM_1.1"; exon_number "2"; gene_name "ABC1";
chr16	ncbiRefSeq	transcript	151	950	.	-	.	gene_id "ABC1"; transcript_id "NR_2.1";  gene_name "ABC1";
chr16	ncbiRefSeq	exon	151	950	.	-	.	gene_id "ABC1"; transcript_id "NR_2.1"; exon_number "1"; gene_name "ABC1";
chr16	ncbiRefSeq	transcript	5001	5100	.	-	.	gene_id "RNA3"; transcript_id "NR_3.1";  gene_name "RNA3";
"""


def line(
    feature: str, start1: int, end1: int, attributes: str, chrom: str = "chr1", strand: str = "+"
) -> str:
    """Return one line of a GTF; `start1` and `end1` are 1-based and inclusive."""
    return "\t".join([chrom, "test", feature, str(start1), str(end1), ".", strand, ".", attributes]) + "\n"


def ids(gene: str, transcript: str) -> str:
    """Return the attributes that name a gene and a transcript."""
    return f'gene_id "{gene}"; transcript_id "{transcript}";'
