"""Looking: nodes and payloads as texts, as HTML and as pictures, by what any program can ask of them."""
