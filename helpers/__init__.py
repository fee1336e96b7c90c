"""From call recordings to a verdict: satisfied, average or unsatisfied."""
