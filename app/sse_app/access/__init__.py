"""Who may do what and how much of it: credentials, rights, limits, and the schemas of events."""
