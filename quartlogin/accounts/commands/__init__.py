"""The commands that manage accounts."""
