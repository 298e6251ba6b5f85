"""Where do events come from? One source a module: CRM webhooks, files."""
