"""From the responses of a form to recordings with a status."""
