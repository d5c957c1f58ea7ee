"""Local services: embedded stand-ins that need only Python, and the real servers one flag away."""
