"""Looking at images and at what a network makes of them: sheets, patches, domain, similarity."""
