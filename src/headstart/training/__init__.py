"""The training loop and what it needs: feeds, checkpoints, stopping, the selected checkpoint."""
