"""Judges of the pocket model: small networks that never saw its people, textual inversion, sheets."""
