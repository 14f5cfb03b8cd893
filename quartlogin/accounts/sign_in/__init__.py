"""What happens between a correct password and a login."""
