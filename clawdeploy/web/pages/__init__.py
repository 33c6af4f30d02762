"""The pages for people: forms and links that work by themselves, and better with the scripts of ``static``."""
