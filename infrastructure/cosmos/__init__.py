"""Azure Cosmos DB: the documents, and beside them the positions of what derives them."""
