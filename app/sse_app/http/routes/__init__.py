"""The routes of the framework, one router a file; http/api.py puts them together."""
