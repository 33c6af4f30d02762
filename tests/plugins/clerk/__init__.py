"""Clerk sign-in, against a real local server that speaks the needed part of the Frontend API."""
