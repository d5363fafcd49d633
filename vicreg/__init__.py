"""What VICReg learns on CIFAR: views, objective, training, evaluation."""
