"""`make demo`: a service of its own on loopback, real or drawn people, and who was found where."""
