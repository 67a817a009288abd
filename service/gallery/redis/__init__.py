"""The store that several services share: Redis holds the records, and each service a copy that follows."""
