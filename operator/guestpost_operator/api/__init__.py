"""The API's types: names, spec, status, conditions. Pure; no calls."""
