"""Websockets: their origin check, and the registry that ends them with their login."""
