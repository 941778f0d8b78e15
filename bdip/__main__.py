"""`python -m bdip`."""

import sys

from bdip.cli import main

if __name__ == "__main__":
    sys.exit(main())
