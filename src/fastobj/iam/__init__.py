"""Level 4: identities and decisions. No HTTP."""
