"""The shapes Jalon promises to others, as data: JSON Schemas, the shipped journeys, the vocabulary, OpenAPI."""
