"""What operators do with topics beside a running worker: dead letters, replays, lag."""
