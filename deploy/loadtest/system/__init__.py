"""What is put under load: services of our own, or those that run already."""
