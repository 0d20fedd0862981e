"""``python -m stillgood``: the command ``stillgood``."""

import sys

from stillgood.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
