"""What notebooks and commands call: inference, browsing, export."""
