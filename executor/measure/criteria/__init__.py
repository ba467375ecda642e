"""How each kind of criterion is judged: one small file each, all pure functions of recorded trials."""
