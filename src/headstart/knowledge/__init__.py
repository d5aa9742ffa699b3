"""Facts of transfer learning as data: what layers learn, borders between strategies, domains, citations."""
