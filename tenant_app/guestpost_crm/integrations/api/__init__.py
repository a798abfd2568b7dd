"""The API, version 1: `auth` who, `schemas` what, `records` how records are listed and stored."""
