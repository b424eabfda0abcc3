"""The page on stopping shows the phases that there are."""

from __future__ import annotations

import re
from pathlib import Path

from quiesce.shutdown.phases import PHASES

PAGE = Path(__file__).parents[2] / "docs" / "stopping.md"


def test_the_picture_has_the_phases_in_their_order():
    picture = PAGE.read_text().partition("```mermaid\n")[2].partition("```")[0]
    shown = re.findall(r"<b>(\w+)</b>", picture)
    assert shown == [phase.name for phase in PHASES]
