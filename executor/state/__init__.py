"""What is kept on disk: journal, audit trail, notes, and where they are. Standard library only."""
