"""A long life in virtual time, in which everything goes wrong, against a model of what must be true."""
