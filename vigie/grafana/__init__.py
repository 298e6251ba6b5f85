"""The dashboards for Grafana, made of the catalogue and the rules."""
