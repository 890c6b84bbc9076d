"""The networks, one file each; `registry.build` makes one by name."""
