"""What clients and neighbours rely on: openapi.yaml, and asyncapi.yaml for what goes over RabbitMQ."""
