"""Pure functions from recorded observations to figures and verdicts, and the sampler that records them."""
