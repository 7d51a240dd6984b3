"""Starts the server under test and speaks to it below any client library."""
