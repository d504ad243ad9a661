"""Networks of two parts: a stack of dilated convolutions for splicing, and an AlphaGenome for tracks and contacts."""
