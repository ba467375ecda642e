"""The contract between all floors: frozen, closed, unit-named models, validated once at construction."""
