"""The product without HTTP and without Docker."""
