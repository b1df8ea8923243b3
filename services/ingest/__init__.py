"""Takes touchpoints in: answers 202 only when the event log has them durably."""
