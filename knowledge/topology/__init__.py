"""From the world to a System: live processes, files, annotations."""
