"""RabbitMQ in: what the neighbours send, read liberally and acknowledged once it is stored."""
