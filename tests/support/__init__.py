"""What tests are made with: programs at work, hosts that are looked at, runs and folders to order."""
