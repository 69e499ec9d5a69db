"""What only the scripts and rules of the workflow need."""
