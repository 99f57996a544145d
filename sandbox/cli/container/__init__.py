"""Commands about containers, one file each."""
