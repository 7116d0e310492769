"""What a client reaches by HTTP: publishing, streams, and the routes of the framework."""
