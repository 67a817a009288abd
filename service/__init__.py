"""The REST microservice and its gallery: crops go in, sightings of the same person come out."""
