"""The demo: listings with photos in, events through Kafka and Ray Serve, and every picture checked and shown."""
