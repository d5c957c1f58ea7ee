"""The Kafka room: takes listing events, has them answered by the serving room, publishes results, commits offsets."""
