"""Read, check, convert, split, synthesise and publish datasets. No torch at import."""
