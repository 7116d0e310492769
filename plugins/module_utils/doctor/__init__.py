"""The diagnosis of a host: facts are gathered once, rules are pure functions from facts to findings."""
