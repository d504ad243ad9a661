"""Borzoi: coverage of RNA-seq, CAGE, DNase, ATAC and ChIP in bins of 32 bp, from 524,288 bp of sequence.

Source: Linder et al., Predicting RNA-seq coverage from DNA sequence as a unifying model of gene regulation, Nature
Genetics 2025; calico/borzoi, calico/baskerville and johahi/borzoi-pytorch.
"""
