"""Evidence to hand fit to ground truth. No Qt."""
