"""The provisioning dashboard: web pages over the API objects, for the people who run the fleet."""
