"""A state machine that does what people, operators, bots, engines and databases do, in any order, and a model of it."""
