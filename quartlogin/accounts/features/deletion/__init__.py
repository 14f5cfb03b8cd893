"""Deleting one's account."""
