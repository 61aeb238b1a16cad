"""Terraform for machine learning."""
