"""The slot-first batcher: a batch is put together when a compute slot is free, from whatever waits by then."""
