"""The tests of quiesce; a package, so that a test can import what stands beside it."""
