"""The training engine: loop, state, loader, optimizers, devices, processes."""
