"""Dilated residual convolutions on transcribed sequence: the families `spliceai` and `pangolin`."""
