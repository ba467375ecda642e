"""One folder an expert: who it is (persona.md) and what it looks for (playbook.yaml)."""
