"""``python -m sr_core``: the command line of :mod:`sr_core.cli`, with the models of the zoo.

The core does not know the zoo. This entry point is the one exception: it joins the two, and nothing imports it.
"""

import sys

from sr_core.cli import main
from zoo.catalogue import resolve

if __name__ == "__main__":
    sys.exit(main(None, resolve))
