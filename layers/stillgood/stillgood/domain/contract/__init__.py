"""What a row is: the contract, its checks, and rows and labels read by it."""
