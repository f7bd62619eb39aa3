"""What ``m2s_index.verify`` looks for and ``m2s_index.repair`` mends, one kind of thing a module."""
