"""A study: params.yaml as validated objects, and where its files lie."""
