"""Tables in text: csv and tsv."""
