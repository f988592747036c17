"""The neighbours that workflow steps call over HTTP."""
