"""A feature that the package does not ship: a code word, which is asked for after the password."""
