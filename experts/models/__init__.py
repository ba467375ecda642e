"""Who answers for an expert: playbooks alone, or a language model."""
