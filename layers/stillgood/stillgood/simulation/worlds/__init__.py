"""Worlds for the driver: resampled customers, a dated table, cohorts of buyers, and streams of River."""
