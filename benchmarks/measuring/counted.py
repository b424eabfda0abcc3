"""One operation a fixed number of times, for counting its instructions."""

from __future__ import annotations

import sys

from measuring import candidates
from measuring.child import BY_KEY, Measured, rounded

WARM_UP = 2_000


def main(name: str, key: str, count: str) -> None:
    """Run the operation ``key`` on the candidate ``name``, ``count`` times."""
    measured = Measured(candidates.ALL[name])
    operation = BY_KEY[key]
    measured.run(operation, rounded(WARM_UP, operation.multiple))
    measured.run(operation, int(count))
    measured.loop.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
