"""The twin: a fast model of a system in which an experiment is rehearsed before anything is touched. Runs nothing."""
