"""Tables for other tools: OData, exports, and what both read."""
