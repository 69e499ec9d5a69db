"""Files: written atomically, checked when read; checkpoints, and arrays larger than memory."""
