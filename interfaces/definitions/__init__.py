"""Workflow definitions as documents: YAML or JSON, read with every fault at once, and drawn as a graph."""
