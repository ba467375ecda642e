"""The gym: how good is the planner? Systems with planted weaknesses and clean twins, and planners side by side.

``docs/gym.md`` says what is measured and how; ``python -m bench.gym`` measures.
"""
