"""The number of tracks of each published head, by organism; its other channels are padding."""

from vepscore.outputs import Output

COUNTS = {
    "human": {
        Output.ATAC: 167,
        Output.DNASE: 305,
        Output.PROCAP: 12,
        Output.CAGE: 546,
        Output.RNA_SEQ: 667,
        Output.CHIP_TF: 1617,
        Output.CHIP_HISTONE: 1116,
        Output.CONTACT_MAPS: 28,
        Output.SPLICE_SITES: 4,
        Output.SPLICE_SITE_USAGE: 734,
        Output.SPLICE_JUNCTIONS: 367,
    },
    "mouse": {
        Output.ATAC: 18,
        Output.DNASE: 67,
        Output.CAGE: 188,
        Output.RNA_SEQ: 173,
        Output.CHIP_TF: 127,
        Output.CHIP_HISTONE: 183,
        Output.CONTACT_MAPS: 8,
        Output.SPLICE_SITES: 4,
        Output.SPLICE_SITE_USAGE: 180,
        Output.SPLICE_JUNCTIONS: 90,
    },
}
