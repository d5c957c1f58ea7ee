"""The shell around the core: threads, sockets and clients. It carries out what the core decides."""
