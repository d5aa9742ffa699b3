"""How much of a network transfers to a user's images, layer group by layer group."""
