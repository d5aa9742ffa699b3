"""Pages for the browser: pure functions from the text of a form to HTML; only `site` knows Gradio.

`*_page.py` parse the form, call the library's own function and render. A field is fixed HTML plus a value that is
text; `field.js` reports what the user does. Each event hands the whole form to the page, without Gradio's queue, and
only the last of changes in a row is sent. Drawings are SVG with percentages for places and pixels for marks, so that
they need no script and do not shrink on a phone. The server sends a Content-Security-Policy that names no other host
and refuses other host names. A test puts the same twenty questions and six searches to library, command line and page
and compares whole results.
"""
