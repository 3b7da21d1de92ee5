"""What is measured rather than tested: accuracy in the field, time, size."""
