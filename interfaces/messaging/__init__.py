"""Receives messages from RabbitMQ: it reads them liberally, and acknowledges each once it is stored."""
