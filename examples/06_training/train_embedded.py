"""Run `vepscore train` with contact maps drawn from Hi-C loops and domains, for the recipes in this directory.

    python examples/06_training/train_embedded.py RECIPE.toml DATA -o OUT

It takes the options of `vepscore train`, which itself has no reader of the files in `data.contacts`.
"""

from synthetic_contacts import read_contacts

from vepscore.cli.main import run_script
from vepscore.cli.train import make_command

if __name__ == "__main__":
    run_script(make_command(read_contacts))
