"""A cluster's API server on loopback: the lists that the check reads, with pages, selectors, tokens and rights."""
