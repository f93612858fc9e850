"""SkyPilot: managed jobs, clusters and their cost, from the API server."""
