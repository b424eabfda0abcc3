"""What every benchmark here shares: fair children, and how results are told.

Read ``candidates`` (who is measured), ``child`` (what runs in each process),
``rounds`` (who runs when), then ``report`` and ``plot``.
"""
