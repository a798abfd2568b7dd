"""The consent broker: the one holder of Google's client secret."""
