"""Statistics by hand, held to SciPy by the tests."""
