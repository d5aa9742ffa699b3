"""DATA as users have it (folders, archives, tables, arrays) -> labelled images."""
