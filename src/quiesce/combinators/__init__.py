"""Waiting for several things at once, for not too long, and across threads."""
