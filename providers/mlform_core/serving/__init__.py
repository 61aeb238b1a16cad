"""The embedded HTTP runtime: one process a deployment, models swapped while it answers."""
