"""The service on real RabbitMQ and real files."""
