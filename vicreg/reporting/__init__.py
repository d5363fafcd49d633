"""Reporting: what a study measured becomes numbers, tables, sentences and figures that a person can trust."""
