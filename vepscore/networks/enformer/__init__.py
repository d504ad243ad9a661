"""Enformer: 196,608 bp in, 5,313 human or 1,643 mouse tracks out, in bins of 128 bp.

Source: Avsec et al., Effective gene expression prediction from sequence by integrating long-range interactions
(Nature Methods, 2021); google-deepmind/deepmind-research, `enformer/`.
"""
