"""What several tests need: synthetic inputs and small programs."""
