"""Azure Cosmos DB: the documents and the positions of their followers, and the event log."""
