"""Shared parts of the pages: forms, error pages, filters, redirects."""
