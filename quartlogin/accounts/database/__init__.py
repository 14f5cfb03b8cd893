"""SQLite and PostgreSQL behind one interface, and the schema."""
