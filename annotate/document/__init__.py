"""Labels while a person works on them: reversible steps, a journal of them on disk, one writer at a time."""
