"""What every training has in common, and the types of training of this package."""
