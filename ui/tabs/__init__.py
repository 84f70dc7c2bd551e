"""The app's tabs: each one lays out its components and wires them to its handlers."""
