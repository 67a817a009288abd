"""Calls to the addresses that an operator gave, signed, for everybody who is seen."""
