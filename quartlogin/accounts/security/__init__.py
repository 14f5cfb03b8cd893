"""Shared defences of the pages: CSRF, rate limits, device cookies, headers, keys."""
