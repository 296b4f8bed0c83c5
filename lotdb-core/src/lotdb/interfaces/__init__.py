"""What the authors of plugins subclass, and what they are given."""
