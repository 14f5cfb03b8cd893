"""What all pages share: forms, error pages, filters, redirects."""
