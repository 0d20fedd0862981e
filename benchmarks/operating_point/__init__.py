"""Does an operating point that follows the population keep its promise? ``make bench-point``."""
