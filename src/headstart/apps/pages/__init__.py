"""pages: the explorers in the browser. Pure functions make every page; only `site` knows Gradio."""
