"""What clients and neighbours rely on: openapi.yaml, and the messages that the service publishes."""
