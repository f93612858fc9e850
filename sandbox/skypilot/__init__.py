"""A SkyPilot API server: managed jobs, clusters and their bill."""
