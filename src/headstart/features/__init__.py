"""The engine room: running networks over images, and solving heads on what comes out."""
