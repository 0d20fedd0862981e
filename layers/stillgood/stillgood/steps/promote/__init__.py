"""promote: judge a candidate, roll back, and replay decisions."""
