"""An encoder in use: exported, registered, asked."""
