"""How the embedded ResNet-50 was made: recipe, views of the images, the loop."""
