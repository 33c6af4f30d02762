"""Mako templates, installed as ``clawdeploy.templates``."""
