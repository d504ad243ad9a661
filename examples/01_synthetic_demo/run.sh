#!/usr/bin/env bash
# Make the synthetic genome in FOLDER (default: demo), score its variants, and write a report of them. Needs vepscore on
# the PATH.
set -euo pipefail
here=$(dirname "$0")
folder=${1:-demo}

python3 "$here/make_genome.py" "$folder"
vepscore score "$folder/synthetic.vcf" -r "$folder/synthetic.fa" -g "$folder/synthetic.gtf" -s all \
  -o "$folder/scored.vcf.gz" -o "$folder/scored.parquet" --table "$folder/scored.tsv"
vepscore report "$folder/scored.parquet" -r "$folder/synthetic.fa" -g "$folder/synthetic.gtf" -o "$folder/report.html"
