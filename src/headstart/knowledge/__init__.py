"""Facts of transfer learning: what layers detect by depth, thresholds between strategies, domains, citations."""
