"""One kit for everything that is HTML or SVG: reports, pages and charts."""
