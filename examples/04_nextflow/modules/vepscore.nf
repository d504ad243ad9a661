// One shard. Each try of a task has a new folder, but vepscore resumes from the journal that it keeps beside its output:
// the output is therefore a link into `folder`. Where tasks run in containers, mount that folder.
process SCORE {
    tag "${shard}/${shards}"
    cpus 4
    memory 8.GB
    errorStrategy { task.exitStatus == 143 ? 'retry' : 'finish' }  // 143: SIGTERM, which preempted jobs get
    maxRetries 5

    input:
    val shard
    val shards
    path vcf
    path reference
    path genes
    val options
    val folder

    output:
    path "part-${shard}.vcf.gz", emit: vcf
    path "part-${shard}.parquet", emit: table

    script:
    """
    parts=${folder}/parts-of-${shards}
    mkdir -p \$parts
    ln -s \$parts/part-${shard}.vcf.gz \$parts/part-${shard}.parquet .
    NPROC=${task.cpus} vepscore score ${vcf} -r ${reference} -g ${genes} ${options} \\
      --shard ${shard}/${shards} -o part-${shard}.vcf.gz -o part-${shard}.parquet
    """
}

// All parts of one kind into what one process would have written.
process MERGE {
    tag "${name}"
    publishDir params.folder, mode: 'copy'

    input:
    tuple val(name), path(parts)

    output:
    path "${name}"

    script:
    """
    vepscore merge ${parts} -o ${name}
    """
}
