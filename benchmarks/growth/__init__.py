"""What each step asks of its store as state grows, and a day of single requests (``benchmarks.growth.day``)."""
