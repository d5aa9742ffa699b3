"""Facts of transfer learning as data: what depths have learned, thresholds between strategies, domains, citations."""
