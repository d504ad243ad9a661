#!/usr/bin/env bash
# Score a VCF as a Slurm job array and join the parts in FOLDER, new for each run and on storage that all nodes share.
#
#     submit.sh FOLDER SHARDS IN.vcf.gz -r GENOME.fa -g GENES.gtf.gz [more options of vepscore score]
#
# vepscore is on the PATH. After a failure submit again: only missing parts are scored, and those begun go on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 shards=$2
shift 2
mkdir -p "$folder"
logs="$folder/%x-%j.log"

missing=$(for number in $(seq "$shards"); do [[ -e $folder/part-$number.vcf.gz ]] || echo "$number"; done | paste -sd ,)
after=()
if [[ -n $missing ]]; then
  array=$(sbatch --parsable --array="$missing" --output="$logs" "$here/score.sbatch" "$folder" "$shards" "$@")
  after=(--dependency="afterok:$array" --kill-on-invalid-dep=yes)
fi
sbatch --parsable "${after[@]}" --output="$logs" "$here/merge.sbatch" "$folder"
