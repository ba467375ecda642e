"""Floor 3: turns proposals into plans, has them approved and run, and learns; and the faces people use."""
