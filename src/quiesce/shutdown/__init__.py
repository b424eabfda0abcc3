"""How a program stops.

Read `triggers` first (what asks for the end), then `sequence` (what happens then), then
`exit_status` (how the process tells its parent why it ended). Everything here acts on
the loop it is handed, ours or another.
"""

from __future__ import annotations
