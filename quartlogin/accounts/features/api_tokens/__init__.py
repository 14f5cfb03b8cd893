"""API tokens: bearer tokens that a user creates."""
