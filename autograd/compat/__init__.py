"""The names that users of other packages know, made of the public ones."""
