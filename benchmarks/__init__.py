"""Benchmarks: each prints figures with the ratio or bound that they are to be read against."""
