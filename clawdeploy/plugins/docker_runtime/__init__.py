"""The runtime that runs containers on a Docker Engine, or on anything that speaks its API."""
