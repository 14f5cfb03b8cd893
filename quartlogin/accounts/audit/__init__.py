"""The audit log, and who is notified of its events."""
