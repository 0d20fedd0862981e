"""The model as it is served, its threshold, and how well it does."""
