"""The chaos run: a closed loop of events under faults, one fault after the other, and an account of every event."""
