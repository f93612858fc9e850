"""Work in one Asana workspace: tasks, their flow, the status of projects, the Bugs project."""
