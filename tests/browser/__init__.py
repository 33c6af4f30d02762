"""Walks: what people do with the pages, done in a real Chromium. README.md says how one is written."""
