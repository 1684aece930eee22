"""Names that users of other packages know, built from the public ones."""
