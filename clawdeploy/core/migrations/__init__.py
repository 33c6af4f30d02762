"""Numbered, forward-only database migrations."""
