"""What must hold when something that we run on, or we, are killed, stopped or cut off."""
