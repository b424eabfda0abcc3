"""CPython's own tests of asyncio, run on quiesce's loop, Future and Task.

Read `namings` first (what a test finds under the name ``asyncio``), then `views` and
`loading` (how it comes to find that), `loops` (loops with made-up time), `child` (one
file of tests in a process of its own), `launching` (many of those), `results` and
`__main__`. `exclusions` and its list say which tests are left out, and why.
"""
