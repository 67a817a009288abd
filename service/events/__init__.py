"""Who was seen, as it happens: a stream for those who listen, and calls to those who asked to be called."""
