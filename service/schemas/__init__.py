"""The bodies that go in and the answers that come out, as the REST interface has them; one noun to a file."""
