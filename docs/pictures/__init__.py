"""The pictures of the documentation, drawn by scripts: ``python -m docs.pictures`` writes them."""
