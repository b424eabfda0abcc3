"""`python -m quiesce` is the `quiesce` command."""

from __future__ import annotations

import sys

from quiesce.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
