"""What self-supervised methods learn on CIFAR: views, objectives, training, evaluation."""
