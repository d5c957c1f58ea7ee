"""What is in a photo, with how sure that is, and words about it that say nothing else."""
