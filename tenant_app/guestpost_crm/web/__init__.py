"""What every page shares: layout, security headers, probes, error pages."""
