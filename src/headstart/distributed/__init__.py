"""Work in other processes and threads.

`process.py` forks each trial of a comparison from a server that has torch imported and has trained nothing: no 4 s of
imports per trial, memory of its own, and a crash ends only that trial. The trial's process reads from a pipe that
nothing is written to, and ends when it closes: it cannot go on while a resume runs. A file lock keeps two processes
off one comparison.
"""
