"""The feedback loop: what people answer, what may be learned from it, and which model judges."""
