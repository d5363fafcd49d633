"""Files and plumbing: arrays, weights, YAML, atomic writes, plugins, errors."""
