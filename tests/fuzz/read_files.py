"""Reads files as `vepscore score` would, and says of each how many records it has, or that it is refused."""

import sys

from tests.fuzz.checks import our_errors
from vepscore.io.records import open_records


def main() -> None:
    """The files are the arguments. Our own errors are no failures."""
    for path in sys.argv[1:]:
        print(path, end=" ", flush=True)
        records = 0
        with our_errors(path) as errors, open_records(path) as reader:
            records = sum(1 for _ in reader)
        print("refused" if errors else records, flush=True)


if __name__ == "__main__":
    main()
