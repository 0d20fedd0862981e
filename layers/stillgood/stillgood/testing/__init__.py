"""Fakes at the ports, for tests and simulations. Shipped with the library, left out of the Lambda layer."""
