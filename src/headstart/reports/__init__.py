"""Reports of runs and comparisons, each one self-contained HTML page.

A report reads what lies on disk and knows neither torch nor the plan's types: facts first, then pure functions from
facts to a section or None; the order of the sections stands in one place. Whatever is not markup is escaped where it
is put into a tag. Charts place things in percent and write in pixels, each with a label and a description; colours
are CSS classes that follow the reader's setting, and series differ in stroke and mark too. Thumbnails are encoded
anew, have a fixed room, and are made only on request. `workflow.reporting` draws all pages before it writes the
first, redraws a page that is too large with fewer names and images, and writes atomically. A page's
Content-Security-Policy allows nothing but inline styles and data images.
"""
