"""The dtypes in which a network's parameters can be held; imports nothing, so that the command line starts fast."""

import enum


class Precision(enum.StrEnum):
    float32 = "float32"
    bfloat16 = "bfloat16"
