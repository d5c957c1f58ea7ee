"""Parts of the page, each a function from the document to HTML."""
