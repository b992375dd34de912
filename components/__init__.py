"""What several pages draw. Components take domain objects and return the user's choice; they call no engine."""
