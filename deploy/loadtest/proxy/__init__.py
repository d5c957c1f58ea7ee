"""A TCP proxy with Toxiproxy's toxics, in a thread or as a process of its own."""
