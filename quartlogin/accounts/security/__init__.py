"""Defences that all pages share: CSRF, rate limits, device cookies, headers, keys."""
