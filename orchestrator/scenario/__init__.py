"""What a scenario may say, and how a scenario file becomes a checked, immutable `Scenario`."""
