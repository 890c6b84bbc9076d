"""A model of many nodes at work: what queues where, fitted to measurements of one machine."""
