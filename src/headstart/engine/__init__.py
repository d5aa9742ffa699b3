"""The engine room: frozen prefixes computed once, by the fastest engine, kept in the activation store."""
