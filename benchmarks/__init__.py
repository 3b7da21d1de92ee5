"""What is measured rather than tested: accuracy on pictures as people send them, time, size."""
