"""Files as chunks of rows, one module a format."""
