"""RabbitMQ through FastStream."""
