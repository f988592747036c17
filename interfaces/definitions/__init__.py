"""Workflow definitions as documents: reads them from YAML or JSON, with all faults at once, and draws
them."""
