"""Source photos: where they may come from, and how they are brought within limits."""
