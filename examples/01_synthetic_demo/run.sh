#!/usr/bin/env bash
# Make the synthetic genome in FOLDER (default: demo) and score its variants. Needs vepscore on the PATH.
set -euo pipefail
here=$(dirname "$0")
folder=${1:-demo}

python3 "$here/make_genome.py" "$folder"
vepscore score "$folder/synthetic.vcf" -r "$folder/synthetic.fa" -g "$folder/synthetic.gtf" -s all \
  -o "$folder/scored.vcf.gz" -o "$folder/scored.parquet" --table "$folder/scored.tsv"
