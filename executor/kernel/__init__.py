"""What Linux tells and does: processes, sockets, packet tables, control groups, file systems."""
