"""What accounts can do: one folder for each capability."""
