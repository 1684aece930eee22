"""Forward mode follows from the vjps here; this module is there for programs that import it."""
