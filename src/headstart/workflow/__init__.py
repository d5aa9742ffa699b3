"""One function per command: joins the steps. Doors parse, call one of these, and show.

Heavy libraries are imported inside the functions that need them, so that `check` and plans stay light.
"""
