"""Dashboards, monitors and SLOs as code: build, lint, plan, push, pull, preview. Never imported by the check."""
