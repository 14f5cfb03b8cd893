"""The audit log and its listeners."""
