"""What is wrong with images before anything is trained: duplicates, damage, odd pixels and shapes."""
