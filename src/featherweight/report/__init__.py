"""Pictures of a run: PNG files for slides and READMEs, and one self-contained page. Reads a run folder alone."""
