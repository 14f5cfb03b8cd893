"""Server-side logins: listing, ending and expiring them."""
