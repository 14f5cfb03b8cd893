"""Websockets: which pages may open them, and how those of a login are found and ended."""
