"""How close models come to their reference."""
