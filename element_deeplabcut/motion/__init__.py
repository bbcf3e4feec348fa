"""From poses to motion: plain functions on arrays, without a database."""
