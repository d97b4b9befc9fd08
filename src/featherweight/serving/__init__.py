"""An HTTP server with a web page for a trained classifier; it needs the extra ``serve``."""
