"""GitHub on loopback: REST and GraphQL over one organisation's data, really evaluated."""
