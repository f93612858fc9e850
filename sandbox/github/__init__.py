"""GitHub on loopback: REST and GraphQL, really evaluated over one organization's data."""
