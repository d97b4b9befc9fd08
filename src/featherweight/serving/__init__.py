"""An HTTP server and a page for a trained classifier, with the extra ``serve``."""
