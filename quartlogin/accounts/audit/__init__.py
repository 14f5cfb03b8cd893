"""The audit log, and who is told of its events."""
