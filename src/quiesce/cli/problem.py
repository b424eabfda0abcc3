"""What is wrong with a command, in one line."""

from __future__ import annotations


class Problem(Exception):  # noqa: N818 - it is said to the user, not raised at one
    """The command cannot be carried out as it was given."""
