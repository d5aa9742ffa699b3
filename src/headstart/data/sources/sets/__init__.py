"""Sets of images that are neither folders nor tars: of the Hugging Face hub, of torchvision, arrays in a file."""
