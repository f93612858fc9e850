"""Dashboards, monitors and SLOs as code: build, lint, plan, push, pull, preview. The check never imports it."""
