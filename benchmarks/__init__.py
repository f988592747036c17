"""Benchmarks of the service, measured together with references."""
