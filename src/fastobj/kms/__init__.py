"""Key services: they make the keys that objects are encrypted with, and wrap them."""
