"""GitHub: pull requests, commits, CI and developers of one or more repositories."""
