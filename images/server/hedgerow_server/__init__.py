"""The server: a supervisor that answers for it, and the worker that serves."""
