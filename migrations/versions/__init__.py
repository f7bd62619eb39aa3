"""One file a step, from 0001."""
