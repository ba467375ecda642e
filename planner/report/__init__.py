"""What a run showed, for people."""
