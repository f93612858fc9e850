"""GitHub on loopback: REST and GraphQL, evaluated over the data of one organization."""
