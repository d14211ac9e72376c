"""What the end-to-end and crash tests share: a hub process and its clients."""
