"""Floor 0: carries out approved plans on real targets, with hard safety limits and no model.

Imports nothing above it, and no language-model, graph, vector or web library (a test holds this).
"""
