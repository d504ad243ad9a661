// Score a VCF in shards and join them:
//
//     nextflow run main.nf --vcf in.vcf.gz --reference hg38.fa --genes genes.gtf.gz --shards 20

params.shards = 4
params.options = ''        // more options of vepscore score
params.folder = 'scored'   // results, and the parts on their way; on storage that all nodes share

include { SCORE; MERGE } from './modules/vepscore'

workflow {
    SCORE(
        channel.of(1..(params.shards as int)),
        params.shards,
        file(params.vcf, checkIfExists: true),
        file(params.reference, checkIfExists: true),
        file(params.genes, checkIfExists: true),
        params.options,
        file(params.folder).toAbsolutePath()
    )
    tables = SCORE.out.table.collect().map { parts -> tuple('scored.parquet', parts) }
    MERGE(SCORE.out.vcf.collect().map { parts -> tuple('scored.vcf.gz', parts) }.mix(tables))
}
