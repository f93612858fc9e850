"""Tools for development: generators, checks of a change, lints."""
