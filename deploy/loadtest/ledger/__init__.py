"""What became of every event: the ledger, its columns, and what is wrong with it. Pure."""
