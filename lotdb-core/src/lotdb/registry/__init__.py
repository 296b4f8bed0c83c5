"""The plugins: what is installed, what of it is switched off, and loading each when it is first needed."""
