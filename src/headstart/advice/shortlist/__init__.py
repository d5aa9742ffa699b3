"""Which of many pretrained networks are worth training on a user's images."""
