"""Network architectures: modules and their frozen configurations, no weights and no I/O."""
