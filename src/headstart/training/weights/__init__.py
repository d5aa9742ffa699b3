"""What is done with weights besides steps: averages over steps, a pull towards the start, mixes of start and end."""
