"""What a corpus of emotions holds: recordings and speakers, in tables and pictures."""
