"""What all commands share, and the commands of users."""
