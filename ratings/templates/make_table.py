"""Prints the table that the votes beside this file make, as CSV: the content of table.csv.

Needs Python 3.11 or later and what requirements.txt names.
"""

import sys
from pathlib import Path

from ratings.table import csv_from

here = Path(__file__).parent
lines = (here / "votes.jsonl").read_text(encoding="utf-8").splitlines()
sys.stdout.write(csv_from(lines, (here / "board.json").read_text(encoding="utf-8")))
