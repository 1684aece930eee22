"""SciPy under HIPS's name."""
