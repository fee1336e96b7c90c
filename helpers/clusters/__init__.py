"""Calls that nobody has given a status: which sound alike, and what people call each group."""
