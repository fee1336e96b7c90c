"""Hears calls for other systems: they post a recording and get JSON back."""
